/**
 * What a host's demand for client certificates means for a request: answered 421 on a connection whose handshake verified
 * something else, 400 without a good certificate, 403 with another subject; else it goes on, and the upstream is told who
 * the client is, in headers that no client can send. Asked for by hosts with such a demand alone.
 */
import type { Reply } from "../../features/exchange.ts";
import { redirectTo } from "../../features/location.ts";
import { type ClientAuth, demandKey, identityHeaders } from "../../model/client-auth.ts";
import { compileSearch } from "../../router/search.ts";
import { fieldLine } from "../../wire/reply.ts";
import type { RequestExchange } from "../exchange.ts";
import type { ClientCertificate, PeerTls } from "./peer-tls.ts";

/** Returns the answer to a request that may not go on. Otherwise sets the exchange's `identity`. */
export function admitClient(auth: ClientAuth, exchange: RequestExchange): Reply | null {
  const { tls } = exchange.peer;
  const demand = demandKey(auth);
  const verified = demand !== null && tls?.demand === demand;
  // Without a name in the handshake there was no host whose demand could have been met: that is as no certificate.
  if (demand !== null && tls?.named === true && !verified) return misdirected;
  const certificate = verified ? tls.certificate : null;
  if (tls !== null && refuses(auth, certificate)) {
    return auth.errorPage === null ? badRequest : redirectTo(302, auth.errorPage);
  }
  if (auth.matchCn !== null && !matcherOf(auth, auth.matchCn)(certificate?.subject ?? "")) return forbidden;
  exchange.identity = identityLines(auth, tls, certificate);
  return null;
}

/** The header lines without those that only we may send. */
export function withoutIdentity(lines: string): string {
  return lines.replace(identityLine, "");
}

const identityLine = new RegExp(`^(?:${identityHeaders.join("|")}):.*\\r\\n`, "gim");

const misdirected: Reply = { status: 421, headers: [], body: null };
const badRequest: Reply = { status: 400, headers: [], body: null };
const forbidden: Reply = { status: 403, headers: [], body: null };

function refuses({ verify }: ClientAuth, certificate: ClientCertificate | null): boolean {
  if (certificate === null) return verify === "on";
  const { error } = certificate;
  return error !== null && (verify !== "optional_no_ca" || !withoutAuthority.has(error));
}

/** What may be wrong with a certificate for optional_no_ca, as nginx has it; with OpenSSL's words for it. */
const withoutAuthority: ReadonlyMap<string, string> = new Map([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unable to get local issuer certificate"],
  ["CERT_UNTRUSTED", "certificate not trusted"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate"],
]);

function identityLines(auth: ClientAuth, tls: PeerTls | null, certificate: ClientCertificate | null): string {
  // Without TLS nothing was asked, and as in nginx nothing is told.
  if (tls === null) return "";
  if (certificate === null) return fieldLine("ssl-client-verify", "NONE");
  const { error, subject, issuer } = certificate;
  const verify = error === null ? "SUCCESS" : `FAILED:${withoutAuthority.get(error) ?? error}`;
  return (
    (auth.passCertificate ? fieldLine("ssl-client-cert", certificate.escaped) : "") +
    fieldLine("ssl-client-verify", verify) +
    (subject === "" ? "" : fieldLine("ssl-client-subject-dn", subject)) +
    (issuer === "" ? "" : fieldLine("ssl-client-issuer-dn", issuer))
  );
}

const matchers = new WeakMap<ClientAuth, (subject: string) => boolean>();

function matcherOf(auth: ClientAuth, source: string): (subject: string) => boolean {
  const known = matchers.get(auth);
  if (known !== undefined) return known;
  const compiled = compileSearch(source);
  // Translation has compiled it before; what fails here after all matches nobody.
  const matches = "refused" in compiled ? () => false : compiled.test;
  matchers.set(auth, matches);
  return matches;
}
