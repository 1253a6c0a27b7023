/**
 * Sends clients from http to https. What counts is the scheme that the client used, so a trusted proxy that ends TLS in
 * front of Sluice is believed.
 */
import { defineFeature, type NginxMap } from "./feature.ts";
import { redirectTo } from "./location.ts";
import { boolean } from "./values.ts";

export const sslRedirect = defineFeature({
  name: "ssl-redirect",
  phase: "rewrite",
  summary:
    "Redirects http to https with 308, path and query as sent. Requests below /.well-known/acme-challenge are served.",
  annotations: {
    "ssl-redirect": {
      ...boolean,
      default: false,
      setting: "sslRedirect",
      summary: "Redirect where the host has TLS, that is, where an Ingress lists it under spec.tls.",
    },
    "force-ssl-redirect": {
      ...boolean,
      default: false,
      summary: "Redirect although the host has no TLS here, because a proxy in front of Sluice ends it.",
    },
  },
  policy: (values) => {
    if (values["force-ssl-redirect"]) return { sslRedirect: { when: "always", code: 308 } };
    return values["ssl-redirect"] ? { sslRedirect: { when: "host-has-tls", code: 308 } } : {};
  },
  compile: ({ sslRedirect }, { hostHasTls }) => {
    if (sslRedirect === undefined || (sslRedirect.when === "host-has-tls" && !hostHasTls)) return undefined;
    const { code } = sslRedirect;
    return {
      request: (exchange) => {
        if (exchange.forwardedProto === "https" || isChallenge(exchange.path)) return null;
        // An HTTP/1.0 request need not name a host; it must not pass in plain text for that.
        return exchange.host === "" ? noHost : redirectTo(code, `https://${exchange.host}${exchange.target}`);
      },
    };
  },
  rendered: "`if` with `return 308 https://$host$request_uri`, the condition in a `map`",
  nginx: ({ sslRedirect }, { hostHasTls, schemeVariable }) => {
    if (sslRedirect === undefined || (sslRedirect.when === "host-has-tls" && !hostHasTls)) return { location: [] };
    const missing: NginxMap = {
      source: `${schemeVariable}$uri`,
      variable: "$sluice_https_missing",
      entries: [
        { regex: "^http/\\.well-known/acme-challenge(/|$)", value: "" },
        { regex: "^http/", value: "1" },
      ],
      default: "",
    };
    const answer = { name: "return", args: [String(sslRedirect.code), { nginx: "https://$host$request_uri" }] };
    return { location: [{ name: "if", args: [{ nginx: `(${missing.variable})` }], block: [answer] }], maps: [missing] };
  },
});

const noHost = { status: 400, headers: [], body: null };

/** Certificate authorities ask for it over http while there is no certificate yet (RFC 8555, section 8.3). */
const challenge = "/.well-known/acme-challenge";

function isChallenge(path: string): boolean {
  return path.startsWith(challenge) && (path.length === challenge.length || path.charCodeAt(challenge.length) === 47);
}
