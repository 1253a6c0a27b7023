/** Where requests and streams that are over become lines of the access log, in the format of the time. Hot. */
import { type AccessLogFormat, formatAccessLine } from "./access-log.ts";
import type { AccessLogBatch } from "./log-batch.ts";
import type { LoggedRequest } from "./logged-request.ts";
import { formatStreamLine, type StreamRecord } from "./stream-log.ts";

export class AccessLog {
  /** May change from one line to the next. */
  format: AccessLogFormat | "off";
  readonly #batch: AccessLogBatch;

  constructor(format: AccessLogFormat | "off", batch: AccessLogBatch) {
    this.format = format;
    this.#batch = batch;
  }

  /** `time` in milliseconds since the epoch, `duration` in milliseconds. */
  write(request: LoggedRequest, time: number, duration: number): void {
    if (this.format !== "off") this.#batch.add(formatAccessLine(this.format, request, time, duration));
  }

  /** A connection or session of a TCP or UDP service. */
  writeStream(record: StreamRecord): void {
    if (this.format !== "off") this.#batch.add(formatStreamLine(this.format, record, Date.now()));
  }

  flush(): void {
    this.#batch.flush();
  }
}
