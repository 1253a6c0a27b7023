/**
 * Bytes of a connection as frames. Every frame is given whole, but for DATA, which is given as it comes so that nothing of a
 * body is copied. What a frame means is session.ts's. Hot. RFC 9113, 4.1 and 6.1.
 */
import { flag, frameAtMost, frameHeaderLength, frameType } from "./protocol.ts";

/** none: not all of it is there; frame: see the fields; too-large, bad-padding: the connection cannot go on. */
export type Step = "none" | "frame" | "too-large" | "bad-padding";

const empty = Buffer.alloc(0);

export class FrameReader {
  type = 0;
  flags = 0;
  streamId = 0;
  /** Bytes of the payload as its header says, padding included. */
  length = 0;
  /** Bytes of padding, its length included. */
  padding = 0;
  /** The payload, or the part of DATA without padding that is at hand: `bytes` from `from` to `to`. */
  bytes: Buffer = empty;
  from = 0;
  to = 0;
  /** DATA: nothing of this frame was given before. True of all others. */
  first = true;
  /** DATA: the frame ends with this part. True of all others. */
  last = true;
  #at = 0;
  /** Of the DATA frame that is being given: -1 when there is none. */
  #dataLeft = -1;
  #paddingLeft = 0;

  /** Takes in what the connection has brought. The bytes are referred to, not copied. */
  push(chunk: Buffer): void {
    const left = this.bytes.length - this.#at;
    this.bytes = left === 0 ? chunk : Buffer.concat([this.bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Goes to the next frame, or the next part of a DATA frame. */
  next(): Step {
    const { bytes } = this;
    let at = this.#at;
    const available = bytes.length - at;
    if (this.#dataLeft >= 0) return this.#nextData(false);
    if (this.#paddingLeft > 0) {
      const skipped = Math.min(this.#paddingLeft, available);
      this.#paddingLeft -= skipped;
      this.#at = at + skipped;
      return this.#paddingLeft > 0 ? this.#none() : this.next();
    }
    if (available < frameHeaderLength) return this.#none();
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (length > frameAtMost) return "too-large";
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const padded = (flags & flag.padded) !== 0 && type <= frameType.headers;
    const isData = type === frameType.data;
    const needed = isData ? (padded && length > 0 ? 1 : 0) : length;
    if (available < frameHeaderLength + needed) return this.#none();
    this.type = type;
    this.flags = flags;
    this.streamId =
      (((bytes[at + 5] as number) & 0x7f) << 24) |
      ((bytes[at + 6] as number) << 16) |
      ((bytes[at + 7] as number) << 8) |
      (bytes[at + 8] as number);
    this.length = length;
    at += frameHeaderLength;
    let padding = 0;
    let content = length;
    if (padded) {
      // A frame without room for the length of its padding is too short; both end the connection (6.1, 6.2).
      if (length === 0) return "bad-padding";
      padding = bytes[at] as number;
      at++;
      content = length - 1 - padding;
      if (content < 0) return "bad-padding";
    }
    this.padding = length - content;
    if (isData) {
      this.#at = at;
      this.#dataLeft = content;
      this.#paddingLeft = padding;
      return this.#nextData(true);
    }
    this.from = at;
    this.to = at + content;
    this.#at = at + content + padding;
    this.first = true;
    this.last = true;
    return "frame";
  }

  #nextData(first: boolean): Step {
    const part = Math.min(this.#dataLeft, this.bytes.length - this.#at);
    if (part === 0 && this.#dataLeft > 0 && !first) return this.#none();
    this.first = first;
    this.from = this.#at;
    this.to = this.#at + part;
    this.#at = this.to;
    this.#dataLeft -= part;
    this.last = this.#dataLeft === 0;
    if (this.last) this.#dataLeft = -1;
    return "frame";
  }

  #none(): "none" {
    // What was read is let go of, for the connection may be idle for long.
    if (this.#at === this.bytes.length) {
      this.bytes = empty;
      this.#at = 0;
    }
    return "none";
  }
}
