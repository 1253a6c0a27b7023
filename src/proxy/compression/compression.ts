/**
 * Which responses are compressed, for whom and how, and what their heads say then. The rules are nginx's, and RFC 9110's
 * where nginx is careless. How the bytes are compressed is compressor.ts's.
 */
import type { CompressionSettings } from "../../model/compression.ts";
import { type ContentCoding, preferredCoding } from "../../wire/accept-encoding.ts";
import type { RequestHead } from "../../wire/request-head.ts";
import { EncoderKind, type EncoderMemory } from "./encoder.ts";

/** A coding that may be offered. */
export interface OfferedCoding {
  readonly kind: EncoderKind;
  /** Bytes; a shorter body is left as it is. */
  readonly minLength: number;
  /** null: every type. */
  readonly types: ReadonlySet<string> | null;
}

/** The settings, ready for responses. */
export interface Compression {
  /** Best first. */
  readonly offers: readonly OfferedCoding[];
  readonly memory: EncoderMemory;
}

/** What becomes of a response that compression concerns. */
export interface Judgement {
  /** null: this client gets it as it is. */
  readonly offer: OfferedCoding | null;
  /** The header lines of the response as it is. */
  readonly plain: string;
  /** Those of the compressed one; "" without an offer. */
  readonly compressed: string;
}

/** The only statuses that nginx compresses; none of them is without a body or of a part. */
const statuses: ReadonlySet<number> = new Set([200, 403, 404]);

const contentType = /^content-type:[ \t]*([^;\s]*)/im;
/** Compressed already, a part of a whole, or with a sum over the bytes as they are, which would be wrong afterwards. */
const asItIs = /^(?:content-encoding|content-range|content-md5|(?:content-|repr-)?digest):/im;
const noTransform = /^cache-control:.*\bno-transform\b/im;
const variesAnyway = /^vary:(?:.*,)?[ \t]*(?:\*|accept-encoding)[ \t]*(?:,|\r)/im;

/** null: nothing is compressed. `memory` is the same for all settings that follow each other. */
export function compileCompression(settings: CompressionSettings, memory: EncoderMemory): Compression | null {
  const { enableBrotli, brotliLevel, brotliMinLength, brotliTypes } = settings;
  const { useGzip, gzipLevel, gzipMinLength, gzipTypes } = settings;
  const offers: OfferedCoding[] = [];
  // Brotli first, as nginx's filters are ordered with the module for it.
  if (enableBrotli) offers.push(offer("br", brotliLevel, brotliMinLength, brotliTypes));
  if (useGzip) offers.push(offer("gzip", gzipLevel, gzipMinLength, gzipTypes));
  return offers.length === 0 ? null : { offers, memory };
}

/** An answer that may be encoded, or tell of one that is, comes to every request but a handshake. */
export function mayHaveEncodedAnswer(head: RequestHead): boolean {
  return head.upgrade === "";
}

/**
 * `head` is the request's, `lines` are the header lines of a response; `length` is that of its body, for HEAD of the one that GET would get, -1 when
 * it is not known. null: it is none of those that are compressed for anybody. Hot where compression is on: most responses
 * are told by their type.
 */
export function judgeResponse(
  { offers }: Compression,
  head: RequestHead,
  status: number,
  lines: string,
  length: number,
): Judgement | null {
  if (!statuses.has(status)) return null;
  const type = contentType.exec(lines)?.[1]?.toLowerCase() ?? "";
  const fitting = offers.filter((each) => fits(each, type, length));
  if (fitting.length === 0 || asItIs.test(lines)) return null;
  const plain = withVary(lines);
  const wanted = mustNotChange(head, lines) ? null : wantedCoding(head, fitting);
  const chosen = fitting.find(({ kind }) => kind.coding === wanted) ?? null;
  return {
    offer: chosen,
    plain,
    compressed: chosen === null ? "" : `${encodedLines(plain)}Content-Encoding: ${chosen.kind.coding}\r\n`,
  };
}

function offer(coding: ContentCoding, level: number, minLength: number, types: readonly string[]): OfferedCoding {
  return {
    kind: new EncoderKind(coding, level),
    minLength,
    types: types.includes("*") ? null : new Set([...types, "text/html"]),
  };
}

function fits({ minLength, types }: OfferedCoding, type: string, length: number): boolean {
  if (length !== -1 && (length < minLength || length === 0)) return false;
  if (types !== null) return types.has(type);
  // Its messages are compressed one by one, by those who speak it.
  return !type.startsWith("application/grpc");
}

/** Whoever asks or answers may say so (RFC 9111, 5.2.1.6 and 5.2.2.6). */
function mustNotChange(head: RequestHead, lines: string): boolean {
  return noTransform.test(lines) || /\bno-transform\b/i.test(head.value("cache-control") ?? "");
}

function wantedCoding(head: RequestHead, fitting: readonly OfferedCoding[]): ContentCoding | null {
  // As nginx's gzip_http_version 1.1: such a client would have to be told of the end by closing the connection.
  if (head.minor === 0) return null;
  return preferredCoding(
    head.value("accept-encoding"),
    fitting.map(({ kind }) => kind.coding),
  );
}

/** Caches have to know that another client may get another answer, whoever gets this one (RFC 9110, 12.5.5). */
function withVary(lines: string): string {
  if (variesAnyway.test(lines)) return lines;
  const merged = lines.replace(/^(vary:[ \t]*)/im, "$1Accept-Encoding, ");
  return merged === lines ? `${lines}Vary: Accept-Encoding\r\n` : merged;
}

/** The bytes are others, so the tag is no longer that of the bytes (RFC 9110, 8.8.1), and ranges would be of the wrong ones. */
function encodedLines(lines: string): string {
  return lines.replace(/^accept-ranges:.*\r\n/gim, "").replace(/^(etag:[ \t]*)(.*)\r\n/im, (line, name, tag) => {
    if (tag.startsWith("W/")) return line;
    return tag.startsWith('"') ? `${name}W/${tag}\r\n` : "";
  });
}
