/**
 * What OpenSSL is told for a handshake: from the settings under ingress-nginx's names, and from what one host has otherwise.
 */
import { constants, createHash } from "node:crypto";
import type { TlsOptions } from "node:tls";
import { type Demand, demandKey } from "../../model/client-auth.ts";
import type { Handshake } from "../../model/snapshot.ts";
import { usualCiphers } from "../../model/tls.ts";
import type { TlsSettings } from "../../settings/tls.ts";

/** `random` is the key in the place of one that is set: 48 bytes that all workers share. */
export function handshakeOptions(settings: TlsSettings, handshake: Handshake, random: Uint8Array): TlsOptions {
  const { sslProtocols, sslCiphers, sslEcdhCurve, sslSessionTimeout, sslSessionTickets, useHttp2 } = settings;
  // See demandOptions in end.ts.
  const resumes = sslSessionTickets && handshake.demand === undefined;
  return {
    minVersion: sslProtocols[0] ?? "TLSv1.2",
    maxVersion: sslProtocols.at(-1) ?? "TLSv1.3",
    ciphers: handshake.ciphers ?? sslCiphers ?? usualCiphers,
    honorCipherOrder: handshake.preferServerCiphers ?? true,
    ecdhCurve: sslEcdhCurve,
    ALPNProtocols: useHttp2 ? ["h2", "http/1.1"] : ["http/1.1"],
    ticketKeys: ticketKeys(settings.sslSessionTicketKey, random),
    sessionTimeout: Math.max(1, Math.round(sslSessionTimeout / 1000)),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (resumes ? 0 : constants.SSL_OP_NO_TICKET),
    sessionIdContext: contextId(handshake.demand),
  };
}

/**
 * Sessions go on where they began: one for all hosts that demand nothing of their clients, and another for each demand, so
 * that no session leads past one even if it were resumed (CVE-2025-23419). At most 32 characters.
 */
function contextId(demand: Demand | undefined): string {
  const key = demand === undefined ? null : demandKey(demand);
  return key === null ? "sluice" : createHash("sha256").update(key).digest("hex").slice(0, 32);
}

/**
 * The 48 bytes that Node takes: name, HMAC and AES-128 key. ingress-nginx takes keys of 48 and of 80 bytes, the longer
 * ones for AES-256; all of a longer one goes into what is used here.
 */
function ticketKeys(base64: string | null, random: Uint8Array): Buffer {
  if (base64 === null) return Buffer.from(random);
  const key = Buffer.from(base64, "base64");
  return key.length === 48 ? key : createHash("sha384").update(key).digest();
}
