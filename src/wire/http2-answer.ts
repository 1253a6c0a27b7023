/**
 * The head of an upstream's answer over HTTP/2, judged by the parser that judges those of HTTP/1.1, so that what is refused
 * in one protocol is refused in the other.
 */
import type { FieldList } from "./http2/head-reader.ts";
import { linesOf } from "./http2-fields.ts";
import { parseResponseHead, type ResponseHead } from "./response-head.ts";

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** The lines to pass on. */
  readonly lines: string;
  readonly neverIndexed: readonly string[];
  /** Of the body in bytes, or as announced where there is none; -1: not known. */
  readonly length: number;
  /** A body of that length follows. */
  readonly exact: boolean;
  /** No body follows whatever the length says. */
  readonly bodiless: boolean;
  readonly hasDate: boolean;
  readonly hasServer: boolean;
}

/** The answer, or why it is refused. `head` is filled anew. A list that comes again is read once. Hot. */
export function readAnswer(list: FieldList, method: string, head: ResponseHead): Answer | string {
  if (list.made !== null && method !== "HEAD") return list.made as Answer;
  // The session has seen to it that the status is the first, and of three digits.
  const error = parseResponseHead(`HTTP/1.1 ${list.fields[1]} \r\n${linesOf(list.fields)}\r\n`, method, head);
  if (error !== null) return error;
  const answer: Answer = {
    status: head.status,
    reason: head.reason,
    lines: head.forwarded,
    neverIndexed: list.neverIndexed,
    length: head.framing === "length" ? head.contentLength : head.announcedLength,
    exact: head.framing === "length",
    bodiless: head.framing === "none",
    hasDate: head.hasDate,
    hasServer: head.hasServer,
  };
  if (list.repeated && method !== "HEAD") list.made = answer;
  return answer;
}
