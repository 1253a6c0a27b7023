/**
 * The rows of the settings table that say how TLS is spoken to clients, under the names and with the meaning that they have
 * in ingress-nginx. Whether OpenSSL takes a list is found out by asking it.
 */
import { createHash } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { readCipherList } from "../features/handshake.ts";
import type { Setting } from "./setting.ts";
import { duration, optional, toggle, type ValueType } from "./value.ts";

export interface TlsSettings {
  /** Ascending and without gaps. */
  readonly sslProtocols: readonly TlsProtocol[];
  /** OpenSSL's list for TLS 1.2 and before, with TLS 1.3 suites by their names; null: usualCiphers of model/tls. */
  readonly sslCiphers: string | null;
  /** "auto", or groups by OpenSSL's names with ":" between them. */
  readonly sslEcdhCurve: string;
  readonly sslSessionTickets: boolean;
  /** Base64 of the 48 or 80 bytes that tickets are sealed with; null: a key that only this process knows. */
  readonly sslSessionTicketKey: string | null;
  /** Milliseconds. */
  readonly sslSessionTimeout: number;
  /** Bytes in a TLS record at most. */
  readonly sslBufferSize: number;
  readonly useHttp2: boolean;
}

const protocols = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
export type TlsProtocol = (typeof protocols)[number];

const protocolList: ValueType<readonly TlsProtocol[]> = {
  placeholder: "PROTOCOLS",
  read: (text) => {
    const words = text.split(/[\s,]+/).filter((word) => word !== "");
    const value = protocols.filter((protocol) => words.includes(protocol));
    const first = protocols.indexOf(value[0] ?? "TLSv1");
    const gapless = value.every((protocol, index) => protocol === protocols[first + index]);
    return value.length > 0 && value.length === new Set(words).size && gapless
      ? { value }
      : { wants: "protocols without a gap between them, such as TLSv1.2 TLSv1.3" };
  },
  show: (value) => value.join(" "),
};

const cipherList: ValueType<string> = {
  placeholder: "CIPHERS",
  read: (text) => {
    const value = readCipherList(text);
    return value === null
      ? {
          wants:
            "a list of ciphers that OpenSSL knows, such as ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256, with @SECLEVEL=0, 1 or 2 if with any: higher levels take no RSA key of 2048 bits",
        }
      : { value };
  },
  show: String,
};

const curveList: ValueType<string> = {
  placeholder: "CURVES",
  read: (text) =>
    /^[A-Za-z0-9:_-]{1,500}$/.test(text) && isTaken({ ecdhCurve: text })
      ? { value: text }
      : { wants: "auto, or curves that OpenSSL knows, such as X25519:prime256v1" },
  show: String,
};

const ticketKey: ValueType<string> = {
  placeholder: "BASE64",
  read: (text) => {
    // OpenSSL writes 80 bytes in two lines.
    const value = text.replaceAll(/\s/g, "");
    const bytes = Buffer.from(value, "base64");
    const whole = bytes.toString("base64") === value && (bytes.length === 48 || bytes.length === 80);
    return whole ? { value } : { wants: "48 or 80 random bytes in base64, from: openssl rand -base64 80" };
  },
  // What is shown is compared and may be told, so it must not be the key.
  show: (value) => `sha256:${createHash("sha256").update(value).digest("hex").slice(0, 16)}`,
};

const bufferSize: ValueType<number> = {
  placeholder: "SIZE",
  read: (text) => {
    const [, number, unit] = /^(\d{1,5})(k?)$/i.exec(text) ?? [];
    const value = Number(number) * (unit === "" ? 1 : 1024);
    return value >= 512 && value <= 16_384 ? { value } : { wants: "a size from 512 to 16k" };
  },
  show: (value) => (value % 1024 === 0 ? `${value / 1024}k` : String(value)),
};

/** Without `ca`, OpenSSL would load all root certificates. */
function isTaken(options: SecureContextOptions): boolean {
  try {
    createSecureContext({ ...options, ca: [] });
    return true;
  } catch {
    return false;
  }
}

const all = ["serve", "render", "demo"] as const;

export const tlsTable: { readonly [Field in keyof TlsSettings]: Setting<TlsSettings[Field]> } = {
  sslProtocols: {
    flag: "ssl-protocols",
    configMap: "ssl-protocols",
    live: true,
    type: protocolList,
    default: ["TLSv1.2", "TLSv1.3"],
    summary:
      "Versions of TLS offered to clients, with spaces between them; those before TLSv1.2 are broken and need ciphers with @SECLEVEL=0.",
    commands: all,
  },
  sslCiphers: {
    flag: "ssl-ciphers",
    configMap: "ssl-ciphers",
    live: true,
    type: optional(cipherList),
    default: null,
    summary:
      "Ciphers offered to clients, as OpenSSL lists them and in order of preference; those of TLS 1.3 are OpenSSL's own unless the list names some (TLS_...). Empty is AES-GCM and ChaCha20 with ephemeral keys. A security level may be 0, 1 or 2 (@SECLEVEL=1).",
    commands: all,
  },
  sslEcdhCurve: {
    flag: "ssl-ecdh-curve",
    configMap: "ssl-ecdh-curve",
    live: true,
    type: curveList,
    default: "auto",
    summary: "Curves for the key exchange with clients, with : between them; auto is OpenSSL's choice.",
    commands: all,
  },
  sslSessionTickets: {
    flag: "ssl-session-tickets",
    configMap: "ssl-session-tickets",
    live: true,
    type: toggle,
    default: true,
    summary: "Let clients resume TLS sessions by tickets; without, every connection has a full handshake.",
    commands: all,
  },
  sslSessionTicketKey: {
    flag: "ssl-session-ticket-key",
    configMap: "ssl-session-ticket-key",
    live: true,
    secret: true,
    type: optional(ticketKey),
    default: null,
    summary:
      "Key that session tickets are sealed with, 48 or 80 random bytes in base64, so that sessions resume at every replica that has it; empty is a key of each process.",
    commands: all,
  },
  sslSessionTimeout: {
    flag: "ssl-session-timeout",
    configMap: "ssl-session-timeout",
    live: true,
    type: duration(1000),
    default: 600_000,
    summary: "How long a TLS session may be resumed.",
    commands: all,
  },
  sslBufferSize: {
    flag: "ssl-buffer-size",
    configMap: "ssl-buffer-size",
    live: true,
    type: bufferSize,
    default: 16_384,
    summary: "Bytes in one TLS record to clients at most, from 512 to 16k.",
    commands: all,
  },
  useHttp2: {
    flag: "use-http2",
    configMap: "use-http2",
    live: true,
    type: toggle,
    default: true,
    summary: "Offer HTTP/2 to clients over TLS.",
    commands: all,
  },
};
