/** SETTINGS: what an endpoint tells of itself, read and written (RFC 9113, 6.5). */
import { defaultWindow, errorCode, frameAtMost, largest, setting } from "./protocol.ts";

/** What the peer has told; until then, what holds for everybody. */
export class PeerSettings {
  /** Bytes of the table that our encoder may use. */
  headerTableSize = 4096;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowSize = defaultWindow;
  /** Bytes, counted as 6.5.2 says. */
  maxHeaderListSize = Number.POSITIVE_INFINITY;
  /** The peer takes extended CONNECT (RFC 8441). */
  connectProtocol = false;
}

/**
 * Takes over a SETTINGS payload, the last value of each where one comes twice; null, or the code of the connection error
 * that it is. `server`: the peer is one.
 */
export function readSettings(
  settings: PeerSettings,
  bytes: Buffer,
  from: number,
  to: number,
  server: boolean,
): number | null {
  if ((to - from) % 6 !== 0) return errorCode.frameSizeError;
  for (let at = from; at < to; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case setting.headerTableSize:
        settings.headerTableSize = value;
        break;
      case setting.enablePush:
        if (value > 1 || (server && value === 1)) return errorCode.protocolError;
        break;
      case setting.maxConcurrentStreams:
        settings.maxConcurrentStreams = value;
        break;
      case setting.initialWindowSize:
        if (value > largest) return errorCode.flowControlError;
        settings.initialWindowSize = value;
        break;
      case setting.maxFrameSize:
        // We never send more than every peer takes.
        if (value < frameAtMost || value > 0xff_ffff) return errorCode.protocolError;
        break;
      case setting.maxHeaderListSize:
        settings.maxHeaderListSize = value;
        break;
      case setting.enableConnectProtocol:
        if (value > 1 || (settings.connectProtocol && value === 0)) return errorCode.protocolError;
        settings.connectProtocol = value === 1;
        break;
    }
  }
  return null;
}

/** The payload that tells these settings, each a number of `setting` and its value. */
export function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return payload;
}
