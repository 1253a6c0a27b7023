/** What the handshakes of one host have otherwise than those of all. It is the host's affair, as its certificates are. */
import { createSecureContext } from "node:tls";
import { defineFeature, type Reader } from "./feature.ts";
import { boolean, optional } from "./values.ts";

const ciphers: Reader<string> = {
  type: "a cipher list of OpenSSL",
  example: "ECDHE+AESGCM:!aNULL",
  read: (text) => {
    // As in ingress-nginx: how weak a key or a signature may be is the operator's to say.
    if (text.includes("@")) {
      return { refused: { detail: '"@" sets a security level, which the setting ssl-ciphers alone may do' } };
    }
    const value = readCipherList(text);
    return value === null ? { refused: { detail: "OpenSSL finds no cipher in it" } } : { value };
  },
  print: String,
};

/**
 * The list with colons between its elements, whatever stood there; null when OpenSSL does not take it, or when it asks for
 * a security level beyond 2: OpenSSL would take the list, and then no certificate with a key of RSA 2048, of no host.
 */
export function readCipherList(text: string): string | null {
  const value = text.trim().replace(/[\s,:]+/g, ":");
  if (!/^[A-Za-z0-9:+!@=_.-]{1,2000}$/.test(value)) return null;
  // OpenSSL sees a command wherever there is an "@", with or without a colon before it.
  if (/@(?!STRENGTH(?![^:])|SECLEVEL=[012](?![^:]))/.test(value)) return null;
  try {
    // Without `ca` it would load all root certificates.
    createSecureContext({ ciphers: value, ca: [] });
    return value;
  } catch {
    return null;
  }
}

export const handshake = defineFeature({
  name: "handshake",
  phase: "head",
  summary:
    "TLS with clients, where one host needs something else than the settings say. It holds for the whole host: where several Ingresses ask for different things, the oldest decides.",
  annotations: {
    "ssl-ciphers": {
      ...optional(ciphers),
      default: null,
      summary:
        "The ciphers that clients are offered, instead of those of the setting `ssl-ciphers`. It has no `@SECLEVEL`, which is the setting's alone.",
    },
    "ssl-prefer-server-ciphers": {
      ...boolean,
      default: true,
      summary: "With `false`, the client's order of ciphers counts, and not that of the list.",
    },
  },
  policy: (values, { present, invalid }) => {
    const list = values["ssl-ciphers"];
    const order = present.has("ssl-prefer-server-ciphers") && !invalid.has("ssl-prefer-server-ciphers");
    if (list === null && !order) return {};
    return {
      handshake: {
        ...(list === null ? {} : { ciphers: list }),
        ...(order ? { preferServerCiphers: values["ssl-prefer-server-ciphers"] } : {}),
      },
    };
  },
  rendered: "`ssl_ciphers`, `ssl_conf_command Ciphersuites` and `ssl_prefer_server_ciphers` of the server",
  nginx: () => ({ location: [] }),
});
