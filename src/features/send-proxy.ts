/** Tells upstreams of their clients by the PROXY protocol. The connections are opened, and kept apart, in proxy. */
import { defineFeature, type Reader } from "./feature.ts";
import { optional } from "./values.ts";

const version: Reader<1 | 2> = {
  type: "v1 or v2",
  example: "v2",
  read: (text) => {
    const word = text.trim().toLowerCase();
    if (word !== "v1" && word !== "v2") return { refused: /^[12]$/.test(word) ? { write: `v${word}` } : {} };
    return { value: word === "v1" ? 1 : 2 };
  },
  print: (value) => `v${value}`,
};

export const sendProxy = defineFeature({
  name: "proxy-protocol",
  phase: "upstream",
  summary: "Tells the upstream who the client is before the first byte of a connection.",
  annotations: {
    "proxy-protocol": {
      ...optional(version),
      default: null,
      own: true,
      guards: true,
      summary:
        "Each connection to the upstream begins with a header of the PROXY protocol in this version, in front of TLS where that is spoken. It names the client as the access log does, with port 0 where a trusted proxy told its address, and is used for that client's connection alone.",
    },
  },
  policy: (values) => {
    const sendProxy = values["proxy-protocol"];
    return sendProxy === null ? {} : { upstreamOptions: { sendProxy } };
  },
  rendered: "nothing: nginx can send this header for TCP services alone, not with HTTP; a comment says so",
  nginx: () => ({ location: [] }),
});
