/** The directives for the handshakes with clients: those of all servers, and those that one server has otherwise. */
import type { Directive } from "../features/feature.ts";
import type { Handshake } from "../model/snapshot.ts";
import { usualCiphers } from "../model/tls.ts";
import { refuseDirective } from "./arguments.ts";

/** The settings that these depend on, by their names in Settings. */
export interface TlsRenderSettings {
  readonly sslProtocols: readonly string[];
  /** OpenSSL's list; null: usualCiphers. */
  readonly sslCiphers: string | null;
  readonly sslEcdhCurve: string;
  readonly sslSessionTickets: boolean;
  /** null: a key of each process. */
  readonly sslSessionTicketKey: string | null;
  /** Milliseconds. */
  readonly sslSessionTimeout: number;
  /** Bytes. */
  readonly sslBufferSize: number;
  readonly useHttp2: boolean;
}

/** For the http block. A key for session tickets is left out, which inexpressibleSettings tells. */
export function tlsDirectives(settings: TlsRenderSettings): readonly Directive[] {
  return [
    directive("ssl_protocols", ...settings.sslProtocols),
    ...cipherDirectives(settings.sslCiphers ?? usualCiphers),
    directive("ssl_prefer_server_ciphers", "on"),
    directive("ssl_ecdh_curve", settings.sslEcdhCurve),
    directive("ssl_session_tickets", settings.sslSessionTickets ? "on" : "off"),
    directive("ssl_session_timeout", `${Math.max(1, Math.round(settings.sslSessionTimeout / 1000))}s`),
    directive("ssl_buffer_size", String(settings.sslBufferSize)),
  ];
}

/** For one server, but what it asks of clients. A list that cannot be written leaves the server with that of all. */
export function handshakeDirectives({ ciphers, preferServerCiphers }: Handshake): readonly Directive[] {
  const directives = [
    ...(ciphers === undefined ? [] : cipherDirectives(ciphers)),
    ...(preferServerCiphers === undefined
      ? []
      : [directive("ssl_prefer_server_ciphers", preferServerCiphers ? "on" : "off")]),
  ];
  return directives.filter((each) => refuseDirective(each) === null);
}

/** nginx has one directive for TLS 1.2 and another for TLS 1.3, whose suites have names of their own. */
function cipherDirectives(list: string): readonly Directive[] {
  const elements = list.split(":");
  const suites = elements.filter((element) => element.startsWith("TLS_"));
  const ciphers = elements.filter((element) => !element.startsWith("TLS_"));
  return [
    ...(ciphers.length === 0 ? [] : [directive("ssl_ciphers", ciphers.join(":"))]),
    ...(suites.length === 0 ? [] : [directive("ssl_conf_command", "Ciphersuites", suites.join(":"))]),
  ];
}

function directive(name: string, ...args: readonly string[]): Directive {
  return { name, args };
}
