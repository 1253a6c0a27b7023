/** What one side of a handshake takes, as options of Node's TLS. */
import type { SecureContextOptions } from "node:tls";
import type { TlsOffer } from "./cases.ts";

export function handshakeOptions({ version, ciphers, curves }: TlsOffer): SecureContextOptions {
  return {
    ...(version === null ? {} : { minVersion: version, maxVersion: version }),
    ...(ciphers === null ? {} : { ciphers }),
    ...(curves === null ? {} : { ecdhCurve: curves }),
  };
}
