/**
 * Certificates of clients. What the handshake and the identity headers have to do with it is the host's affair
 * (translate/host-tls, serve/tls, proxy/client-auth); here is what the annotations say, and the one thing that is a
 * route's: who comes without TLS has no certificate.
 */
import { type Verification, verifications } from "../model/client-auth.ts";
import { defineFeature, type Parsed, type Reader } from "./feature.ts";
import { redirectTo } from "./location.ts";
import type { ClientAuthWish } from "./traits.ts";
import { boolean, chainDepth, oneOf, optional, secretName, url } from "./values.ts";

const page: Reader<string> = {
  ...url,
  type: "an absolute URL",
  example: "https://www.example.com/no-certificate",
  read: (text): Parsed<string> => {
    const parsed = url.read(text);
    return "value" in parsed && parsed.value.startsWith("/")
      ? { refused: { detail: "it must begin with http:// or https://" } }
      : parsed;
  },
};

/** Whether it can be matched is found out by translation, which knows regular expressions. */
const commonName: Reader<string> = {
  type: "a regular expression for the subject",
  example: "CN=(shop|blog)",
  read: (text) => {
    const value = text.trim();
    return value.includes("CN=") ? { value } : { refused: { detail: 'it must hold "CN="' } };
  },
  print: String,
};

export const clientCertificate = defineFeature({
  name: "client-certificate",
  phase: "access",
  summary:
    "Asks the clients of a host for certificates. It holds for the whole host: where several Ingresses ask for different things, the oldest decides, and the paths of the others answer 503 there unless everybody let in is whom they let in, too. Upstreams are told in `ssl-client-verify`, `ssl-client-subject-dn`, `ssl-client-issuer-dn` and `ssl-client-cert`, and nothing that clients send under these names is passed on.",
  annotations: {
    "auth-tls-secret": {
      ...optional(secretName),
      default: null,
      guards: true,
      refersTo: "Secret",
      summary:
        "The Secret, in the namespace of the Ingress, with the authorities that certificates must come from (`ca.crt`) and their revocation lists (`ca.crl`, optional). One that is missing or cannot be used closes the paths with 503.",
    },
    "auth-tls-verify-client": {
      ...oneOf(verifications),
      default: "on" as Verification,
      guards: true,
      summary:
        "`on` answers 400 to clients without a good certificate, and to those without TLS; `optional` lets clients without one in, `optional_no_ca` those with one of an unknown authority, too; `off` asks for none.",
    },
    "auth-tls-verify-depth": {
      ...chainDepth,
      default: 1,
      needs: ["auth-tls-secret"],
      summary: "Intermediate certificates between the client's own and the root, at most.",
    },
    "auth-tls-error-page": {
      ...optional(page),
      default: null,
      needs: ["auth-tls-secret"],
      summary: "Redirects clients without a good certificate there with 302, instead of the 400.",
    },
    "auth-tls-match-cn": {
      ...optional(commonName),
      default: null,
      guards: true,
      summary:
        "Answers 403 unless the subject of the certificate (as RFC 2253 writes it) matches this regular expression anywhere; write `CN=shop(,|$)` to match the whole name.",
    },
    "auth-tls-pass-certificate-to-upstream": {
      ...boolean,
      default: false,
      needs: ["auth-tls-secret"],
      summary: "Sends the certificate to the upstream, URL-encoded PEM in `ssl-client-cert`.",
    },
  },
  policy: (values, { present }) => {
    const wish: ClientAuthWish = {
      secret: values["auth-tls-secret"],
      verify: values["auth-tls-verify-client"],
      depth: values["auth-tls-verify-depth"],
      errorPage: values["auth-tls-error-page"],
      matchCn: values["auth-tls-match-cn"],
      passCertificate: values["auth-tls-pass-certificate-to-upstream"],
    };
    if (wish.secret !== null) {
      const needed = wish.verify === "on" ? { clientCertificate: { errorPage: wish.errorPage } } : {};
      return { ...needed, clientAuth: wish };
    }
    const asks = present.has("auth-tls-verify-client") && wish.verify !== "off";
    return asks || wish.matchCn !== null ? { clientAuth: wish } : {};
  },
  compile: ({ clientCertificate }) => {
    if (clientCertificate === undefined) return undefined;
    const { errorPage } = clientCertificate;
    const answer = errorPage === null ? { status: 400, headers: [], body: null } : redirectTo(302, errorPage);
    return { request: (exchange) => (exchange.scheme === "http" ? answer : null) };
  },
  rendered:
    "`ssl_verify_client`, `ssl_client_certificate`, `ssl_verify_depth` and `ssl_crl` of the server, `proxy_set_header`, and `if` with `return` for the rest",
  nginx: ({ clientCertificate }) => {
    if (clientCertificate === undefined) return { location: [] };
    const { errorPage } = clientCertificate;
    const answer = errorPage === null ? ["400"] : ["302", errorPage];
    return {
      location: [{ name: "if", args: withoutTls, block: [{ name: "return", args: answer }] }],
    };
  },
});

const withoutTls = [{ nginx: "($scheme" }, "=", { nginx: "http)" }];
