/**
 * The access log's lines of TCP and UDP services, one a connection or session: JSON, or ingress-nginx's log-format-stream.
 * No text of a client is in them, and the others (addresses, names of Services) have been checked.
 */
import type { ServiceRef } from "../../model/snapshot.ts";
import { type AccessLogFormat, jsonTime, localTime, micros, millis } from "./access-log.ts";

export interface StreamRecord {
  /** "tls": TLS that is passed through. */
  readonly protocol: "tcp" | "udp" | "tls";
  /** That the client came to. */
  readonly port: number;
  readonly service: ServiceRef;
  /** The host of the rule by which TLS is passed through. */
  readonly tlsHost?: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** As nginx's $status of a stream: 200, 400 when the PROXY header is wrong, 500 when this process had no socket, 502 when no endpoint could be reached. */
  readonly status: number;
  /** Bytes from and to the client. */
  readonly received: number;
  readonly sent: number;
  /** Milliseconds. */
  readonly duration: number;
  /** "" when none was tried; "a, b" when several were. */
  readonly upstreamAddress: string;
  readonly tries: number;
}

/** One line, its "\n" included. `time`: when it ended, in milliseconds since the epoch. */
export function formatStreamLine(format: AccessLogFormat, record: StreamRecord, time: number): string {
  return format === "json" ? jsonLine(record, time) : nginxLine(record, time);
}

function jsonLine(record: StreamRecord, time: number): string {
  const { protocol, port, service, remoteAddress, remotePort, status, received, sent, duration } = record;
  const host = record.tlsHost === undefined ? "" : `"host":"${record.tlsHost}",`;
  return `${jsonTime(time)},"remote":"${remoteAddress}","remote_port":${remotePort},"protocol":"${protocol.toUpperCase()}",${host}"listener":${port},"status":${status},"bytes":${sent},"request_bytes":${received},"duration":${micros(duration)},"upstream":"${record.upstreamAddress}","tries":${record.tries},"namespace":"${service.namespace}","service":"${service.name}","port":"${service.port}"}\n`;
}

/** `[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time`, in UTC. */
function nginxLine(record: StreamRecord, time: number): string {
  const { protocol, remoteAddress, status, received, sent, duration } = record;
  return `[${remoteAddress}] [${localTime(time)}] ${protocol.toUpperCase()} ${status} ${sent} ${received} ${millis(duration)}\n`;
}
