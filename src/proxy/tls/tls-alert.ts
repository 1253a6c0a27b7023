/**
 * What an upstream says of our certificate when it ends a handshake. In TLS 1.3 it says so behind what is the end of the
 * handshake for us (RFC 8446, 4.4.2.4), so that the same alert ends a connection under way there.
 */

/** As OpenSSL, and Node after it, names alerts (RFC 8446, 6.2). */
const notAccepted =
  /_ALERT_(?:(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)$/;
const required = /_ALERT_CERTIFICATE_REQUIRED$/;

/** What to do about an error of that code, to be put behind it; "": it is not about our certificate. */
export function adviceOn(code: string): string {
  if (required.test(code))
    return ", it demands a client certificate: name a Secret with tls.crt and tls.key in proxy-ssl-secret";
  return notAccepted.test(code) ? ", it does not accept the client certificate of proxy-ssl-secret" : "";
}
