import assert from "node:assert/strict";
import { adviceOn } from "../../src/proxy/tls/tls-alert.ts";

describe("what to do about an alert of TLS", () => {
  it("is told where a client certificate is missing", () => {
    assert.match(adviceOn("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"), /proxy-ssl-secret$/);
  });

  for (const code of [
    "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
    "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE",
    "ERR_SSL_SSL/TLS_ALERT_UNSUPPORTED_CERTIFICATE",
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_REVOKED",
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED",
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN",
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED",
  ]) {
    it(`is told where the client certificate is not accepted (${code})`, () => {
      assert.match(adviceOn(code), /does not accept the client certificate of proxy-ssl-secret$/);
    });
  }

  it("is nothing where it is about something else", () => {
    for (const code of ["ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE", "ERR_SSL_BAD_RECORD_MAC", "ECONNRESET", "closed"])
      assert.equal(adviceOn(code), "");
  });
});
