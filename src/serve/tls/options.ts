/**
 * What OpenSSL is told for a handshake: from the settings under ingress-nginx's names, and from what one host has otherwise.
 */
import { constants, createHash } from "node:crypto";
import type { TlsOptions } from "node:tls";
import type { Handshake } from "../../model/snapshot.ts";
import { usualCiphers } from "../../model/tls.ts";
import type { TlsSettings } from "../../settings/tls.ts";

/** `random` is the key in the place of one that is set: 48 bytes that all workers share. */
export function handshakeOptions(settings: TlsSettings, handshake: Handshake, random: Uint8Array): TlsOptions {
  const { sslProtocols, sslCiphers, sslEcdhCurve, sslSessionTimeout, sslSessionTickets, useHttp2 } = settings;
  return {
    minVersion: sslProtocols[0] ?? "TLSv1.2",
    maxVersion: sslProtocols.at(-1) ?? "TLSv1.3",
    ciphers: handshake.ciphers ?? sslCiphers ?? usualCiphers,
    honorCipherOrder: handshake.preferServerCiphers ?? true,
    ecdhCurve: sslEcdhCurve,
    ALPNProtocols: useHttp2 ? ["h2", "http/1.1"] : ["http/1.1"],
    ticketKeys: ticketKeys(settings.sslSessionTicketKey, random),
    sessionTimeout: Math.max(1, Math.round(sslSessionTimeout / 1000)),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (sslSessionTickets ? 0 : constants.SSL_OP_NO_TICKET),
    // One for all hosts that demand nothing of their clients: a session begun for one may go on at another.
    sessionIdContext: "sluice",
  };
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
