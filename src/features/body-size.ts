/**
 * How large a request body may be. The announced length is checked here, before anything else; a chunked body is counted
 * while it passes, by the data plane, against the same field of the policy.
 */
import { defineFeature } from "./feature.ts";
import { printSize, size } from "./values.ts";

export const bodySize = defineFeature({
  name: "body-size",
  phase: "head",
  summary: "Limits the size of request bodies.",
  annotations: {
    "proxy-body-size": {
      ...size,
      default: 1024 ** 2,
      setting: "proxyBodySize",
      summary: "The largest request body; a larger one is answered 413. `0` sets no limit.",
    },
  },
  policy: (values) => {
    const limit = values["proxy-body-size"];
    return limit === 0 ? {} : { bodySize: { limit } };
  },
  compile: ({ bodySize }) => {
    if (bodySize === undefined) return undefined;
    const { limit } = bodySize;
    return { request: (exchange) => (exchange.contentLength > limit ? tooLarge : null) };
  },
  rendered: "`client_max_body_size`",
  nginx: ({ bodySize }) => ({
    location: [{ name: "client_max_body_size", args: [bodySize === undefined ? "0" : printSize(bodySize.limit)] }],
  }),
});

const tooLarge = { status: 413, headers: [], body: null };
