/**
 * Why a request to the API server did not bring what it should. What is done about it (wait, list again, ask with other
 * credentials) is decided in plan.ts.
 */
import { isMapping } from "../validate/values.ts";

export type FailureKind =
  /** No connection, no TLS, credentials that cannot be read, or a connection that broke. */
  | "unreachable"
  /** Connected, but nothing came for too long. */
  | "silent"
  /** 401: the credentials are not, or no longer, accepted. */
  | "unauthorized"
  /** 403: the credentials do not allow this. */
  | "forbidden"
  /** 404: the API server does not know the kind, the namespace or the object. */
  | "absent"
  /** 410, as an HTTP status or inside a stream: the version asked for is no longer known. */
  | "gone"
  /** 409: somebody else wrote in between. */
  | "conflict"
  /** Any other 4xx: the request itself is not understood or not allowed. */
  | "refused"
  /** 429, or 503 with Retry-After. */
  | "throttled"
  /** Any other 5xx. */
  | "server"
  /** An answer that is cut off in the middle of a value, or is not what the API promises. */
  | "malformed"
  /** We ended it ourselves. */
  | "stopped";

/** A request that failed. The message may hold text of the server's. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";
  readonly kind: FailureKind;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Milliseconds that the server asks us to wait; null when it did not say. */
  readonly retryAfter: number | null;

  constructor(kind: FailureKind, message: string, status = 0, retryAfter: number | null = null) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** An answer of another status than asked for. `body` is its text, a Status object if the API server wrote it. */
export function answeredWith(status: number, retryAfterHeader: string | undefined, body: string): ApiFailure {
  const retryAfter = readRetryAfter(retryAfterHeader);
  return new ApiFailure(kindOfStatus(status, retryAfter), messageOf(status, parse(body)), status, retryAfter);
}

/** The Status object of an ERROR event inside a stream (code 410 there is what HTTP status 410 is elsewhere). */
export function streamError(status: unknown): ApiFailure {
  const { code, reason, details } = isMapping(status) ? status : {};
  const seconds = isMapping(details) ? details.retryAfterSeconds : undefined;
  const retryAfter = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : null;
  const expired = reason === "Expired" || reason === "Gone";
  const number = expired ? 410 : typeof code === "number" ? code : 500;
  return new ApiFailure(kindOfStatus(number, retryAfter), messageOf(number, status), number, retryAfter);
}

function kindOfStatus(status: number, retryAfter: number | null): FailureKind {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
      return "absent";
    case 409:
      return "conflict";
    case 410:
      return "gone";
    case 429:
      return "throttled";
    case 503:
      return retryAfter === null ? "server" : "throttled";
    default:
      return status >= 500 ? "server" : "refused";
  }
}

function messageOf(status: number, body: unknown): string {
  const message = isMapping(body) && typeof body.message === "string" && body.message !== "" ? body.message : null;
  return message === null ? `the API server answers ${status}` : `the API server answers ${status}: ${message}`;
}

/** Seconds, as API servers write it, in milliseconds; the form with a date (RFC 9110, section 10.2.3) is not theirs. */
function readRetryAfter(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
