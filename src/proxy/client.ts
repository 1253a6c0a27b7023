/**
 * The narrow waist between a protocol that clients speak and the half that speaks to upstreams: what forward.ts asks of
 * whoever holds the client's connection. HTTP/1.1 implements it in serve/client/http1.ts.
 */
import type { TunnelSide } from "./tunnel.ts";

export interface Client {
  /** Sends an interim response (100 to 199, not 101). `lines` are header lines, each ended by CRLF. */
  interim(status: number, lines: string): void;
  /**
   * Begins the final response. `length` is that of the body in bytes, -1 when it is not known beforehand; `bodiless` says
   * that none follows whatever `lines` and `length` announce (HEAD, 204, 304). It may be held back until the first write.
   */
  respond(status: number, reason: string, lines: string, length: number, bodiless: boolean): void;
  /**
   * Passes on a part of the body, which may be held back until flush() or end(). True: the memory of `part` is still
   * needed; otherwise it is overwritten after this call.
   */
  write(part: Buffer): boolean;
  /** As write(), for a part that is at hand as latin1 text. Only where text is as welcome as bytes. */
  writeText?(text: string): void;
  /** Sends what is held back, for nothing more comes for now; false: the client reads slowly, wait for its drain. */
  flush(): boolean;
  /** Ends the response; `trailers` are header lines, used only where the framing can carry them. */
  end(trailers: string): void;
  /** Cuts the response short so that the client notices: the connection (or stream) dies. */
  abort(): void;
  /** The client may send its body, or more of it. */
  resumeBody(): void;
  /** Tells a client that waits for it to send its body. */
  sendContinue(): void;
  /** Answers 101 and gives up the connection: where to go on with it, and the bytes already read that follow the request. */
  switchProtocols(lines: string): TunnelSide;
}
