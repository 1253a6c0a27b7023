/**
 * From an exchange to a line of the access log. One record object a worker is filled again and again: a line costs its
 * text and nothing else. Hot.
 */
import type { RequestExchange } from "../proxy/exchange.ts";
import { type AccessRecord, formatAccessLine, type LoggedRoute } from "./access-log.ts";
import type { AccessLogBatch } from "./log-batch.ts";
import { formatStreamLine, type StreamRecord } from "./stream-log.ts";

export class AccessLog {
  /** May change from one line to the next. */
  format: "json" | "nginx" | "off";
  readonly #batch: AccessLogBatch;
  readonly #record: AccessRecord = emptyRecord();

  constructor(format: "json" | "nginx" | "off", batch: AccessLogBatch) {
    this.format = format;
    this.#batch = batch;
  }

  /** `time` in milliseconds since the epoch, `duration` in milliseconds. */
  write(exchange: RequestExchange, time: number, duration: number): void {
    const { format } = this;
    if (format === "off") return;
    const record = this.#record;
    const { head } = exchange;
    record.time = time;
    record.remoteAddress = exchange.clientAddress;
    record.remotePort = exchange.peer.port;
    record.method = exchange.method;
    record.host = exchange.authority;
    record.target = exchange.target;
    record.protocol = exchange.peer.http2 ? "HTTP/2.0" : head.minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
    record.scheme = exchange.scheme;
    record.status = exchange.status;
    record.requestBytes = exchange.requestBytes;
    record.bytes = exchange.responseBytes;
    record.duration = duration;
    record.upstreamAddress = exchange.upstreamAddress;
    record.upstreamStatus = exchange.upstreamStatus;
    record.upstreamDuration = exchange.upstreamDuration;
    record.upstreamBytes = exchange.upstreamBytes;
    record.tries = exchange.tries;
    record.requestId = exchange.requestId;
    record.route = exchange.route?.labels ?? noRoute;
    record.referer = head.value("referer") ?? "";
    record.userAgent = head.value("user-agent") ?? "";
    this.#batch.add(formatAccessLine(format, record));
  }

  /** A connection or session of a TCP or UDP service. */
  writeStream(record: StreamRecord): void {
    if (this.format !== "off") this.#batch.add(formatStreamLine(this.format, record, Date.now()));
  }

  flush(): void {
    this.#batch.flush();
  }
}

const noRoute: LoggedRoute = { namespace: "", ingress: "", service: "", port: "" };

function emptyRecord(): AccessRecord {
  return {
    time: 0,
    remoteAddress: "",
    remotePort: 0,
    method: "",
    host: "",
    target: "",
    protocol: "HTTP/1.1",
    scheme: "http",
    status: 0,
    requestBytes: 0,
    bytes: 0,
    duration: 0,
    upstreamAddress: "",
    upstreamStatus: 0,
    upstreamDuration: 0,
    upstreamBytes: 0,
    tries: 0,
    requestId: "",
    route: noRoute,
    referer: "",
    userAgent: "",
  };
}
