/** TLS to upstreams: the certificate shown, whom to believe, under which name. What the Secret holds is read in translate. */
import { createSecureContext } from "node:tls";
import { type TlsVersion, tlsVersions } from "../model/upstream-tls.ts";
import { defineFeature, type Parsed, quote, type Reader } from "./feature.ts";
import { chainDepth, onOff, optional, secretName } from "./values.ts";

const name: Reader<string> = {
  type: "a DNS name",
  example: "api.example.com",
  read: (text) => {
    const value = text.trim().toLowerCase();
    if (value.length > 253) return { refused: { detail: "it is longer than 253 characters" } };
    if (/^[0-9.]+$|:/.test(value)) return { refused: { detail: "an address is no name" } };
    return /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(value)
      ? { value }
      : { refused: {} };
  },
  print: String,
};

const protocols: Reader<readonly TlsVersion[]> = {
  type: "a list of TLS versions",
  example: "TLSv1.2 TLSv1.3",
  read: (text): Parsed<readonly TlsVersion[]> => {
    const words = text.split(/\s+/).filter((word) => word !== "");
    const bad = words.find((word) => !knownVersions.has(word));
    if (bad !== undefined) return { refused: { detail: `${quote(bad)} is not one of ${tlsVersions.join(", ")}` } };
    const value = tlsVersions.filter((version) => words.includes(version));
    return value.length > 0 ? { value } : { refused: { detail: "no version is left that TLS libraries still speak" } };
  },
  print: (value) => value.join(" "),
};

/** Those that the words of nginx name; nobody speaks SSL any more. */
const knownVersions: ReadonlySet<string> = new Set([...tlsVersions, "SSLv2", "SSLv3"]);

const ciphers: Reader<string> = {
  type: "a cipher list of OpenSSL",
  example: "ECDHE+AESGCM:!aNULL",
  read: (text) => {
    const value = text.trim();
    if (!/^[A-Za-z0-9+:_!-]{1,1024}$/.test(value)) return { refused: {} };
    try {
      // Without `ca` it would load all root certificates.
      createSecureContext({ ciphers: value, ca: [] });
      return { value };
    } catch {
      return { refused: { detail: "OpenSSL finds no cipher in it" } };
    }
  },
  print: String,
};

export const proxySsl = defineFeature({
  name: "proxy-ssl",
  phase: "upstream",
  summary: "TLS to the upstreams, where `backend-protocol` is HTTPS or GRPCS; with any other it does nothing.",
  annotations: {
    "proxy-ssl-secret": {
      ...optional(secretName),
      default: null,
      guards: true,
      refersTo: "Secret",
      summary:
        "The Secret, in the namespace of the Ingress, with the certificate that is shown to the upstream (`tls.crt`, `tls.key`) and the authorities that its certificate is verified against (`ca.crt`). One that is missing or cannot be used closes the paths with 503.",
    },
    "proxy-ssl-verify": {
      ...onOff,
      default: false,
      guards: true,
      summary:
        "Verifies the upstream's certificate against `ca.crt` of the Secret; one that does not pass answers 502, with the reason in the log. Without `ca.crt` the paths are closed with 503.",
    },
    "proxy-ssl-verify-depth": {
      ...chainDepth,
      default: 1,
      guards: true,
      summary:
        "Intermediate certificates between the upstream's own and the root, at most; 0 is taken for 1, as ingress-nginx does.",
    },
    "proxy-ssl-name": {
      ...optional(name),
      default: null,
      guards: true,
      summary:
        "The name that the upstream's certificate must be for, and that is sent where one is sent. By default the external name of the Service, or `SERVICE.NAMESPACE.svc`.",
    },
    "proxy-ssl-server-name": {
      ...optional(onOff),
      default: null,
      summary:
        "Sends the name to the upstream (SNI). By default it is sent where the Service has an external name, and not elsewhere.",
    },
    "proxy-ssl-protocols": {
      ...optional(protocols),
      default: null,
      summary: "The versions of TLS that are offered; by default TLSv1.2 and TLSv1.3.",
    },
    "proxy-ssl-ciphers": {
      ...optional(ciphers),
      default: null,
      summary: "The ciphers that are offered for versions before TLSv1.3; by default those of the TLS library.",
    },
  },
  policy: (values) => {
    const tls = {
      secret: values["proxy-ssl-secret"],
      certificate: null,
      verify: values["proxy-ssl-verify"],
      authority: null,
      verifyDepth: values["proxy-ssl-verify-depth"],
      name: values["proxy-ssl-name"],
      sendName: values["proxy-ssl-server-name"],
      protocols: values["proxy-ssl-protocols"] ?? [],
      ciphers: values["proxy-ssl-ciphers"] ?? "",
    };
    const { secret, verify, sendName } = tls;
    const asks = verify || tls.protocols.length > 0 || tls.ciphers !== "";
    return asks || secret !== null || tls.name !== null || sendName !== null ? { upstreamOptions: { tls } } : {};
  },
  rendered:
    "`proxy_ssl_certificate`, `proxy_ssl_trusted_certificate`, `proxy_ssl_verify`, `proxy_ssl_verify_depth`, `proxy_ssl_name`, `proxy_ssl_server_name`, `proxy_ssl_protocols` and `proxy_ssl_ciphers`, or the same of `grpc_`",
  // They are the upstream's, and written with it.
  nginx: () => ({ location: [] }),
});
