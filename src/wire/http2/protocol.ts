/** The numbers of HTTP/2 (RFC 9113; RFC 8441 for extended CONNECT), under their names there. */

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Section 7. */
export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

/**
 * Why a connection is ended for what its peer sends: too much of what costs the peer next to nothing, which has
 * ENHANCE_YOUR_CALM for an answer, or what breaks the protocol. Each with what it is to be called.
 */
export const offences = {
  resets: "it resets too many streams",
  mistakes: "it makes too many mistakes on streams",
  frames: "it sends too many frames that bring nothing forward",
  head: "it sends a head without end",
  protocol: "it breaks the protocol (RFC 9113)",
} as const;
export type Offence = keyof typeof offences;

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** What a client sends first (3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const frameHeaderLength = 9;
/** The largest payload that is taken in, and sent: what every peer has to take (4.2). */
export const frameAtMost = 16_384;
/** Of a connection and of its streams, before anybody says otherwise (6.9.2). */
export const defaultWindow = 65_535;
/** The largest window and the largest stream identifier. */
export const largest = 0x7fff_ffff;
