/**
 * What a client that speaks HTTP in plain to the port for HTTPS is answered: in plain, for it would not understand an alert
 * of TLS, and a connection that just closes tells nobody that an "s" is missing. nginx does the same (its status 497).
 */
import { httpDate, serverName } from "../../wire/reply.ts";

/** Milliseconds that such a client has to read the answer. */
export const plainRefusalTimeout = 5_000;

/** The first bytes of a connection, one at least, are those of a request of HTTP/1.1, or the start of them. */
export function beginsHttp1(bytes: Buffer): boolean {
  return /^[A-Z]{1,20}(?: |$)/.test(bytes.toString("latin1", 0, 21));
}

/** `now` in milliseconds since 1970. */
export function plainRefusal(now: number): string {
  const body = "This port speaks HTTPS: ask for https:// there.\n";
  return (
    `HTTP/1.1 400 Bad Request\r\nServer: ${serverName}\r\nDate: ${httpDate(now)}\r\n` +
    `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  );
}
