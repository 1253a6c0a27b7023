/**
 * The access log's two line formats: JSON, and ingress-nginx's upstreaminfo. A line is always one line of printable ASCII:
 * every value is scanned, and what could end a field, a line or a terminal's patience is escaped, whoever sent it. Where
 * lines go is log-sink.ts's. This is the hot path: about a microsecond a line, measured by test/bench/micro.ts.
 */

export type AccessLogFormat = "json" | "nginx";

export interface AccessRecord {
  /** When the response ended, in milliseconds since the epoch. */
  time: number;
  remoteAddress: string;
  remotePort: number;
  method: string;
  host: string;
  /** The raw path and query as sent. */
  target: string;
  protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2.0";
  scheme: "http" | "https";
  status: number;
  requestBytes: number;
  /** Bytes of the body sent to the client. */
  bytes: number;
  /** Milliseconds, as are all durations here. */
  duration: number;
  /** "" when no upstream was asked; "a, b" when several were. */
  upstreamAddress: string;
  upstreamStatus: number;
  upstreamDuration: number;
  upstreamBytes: number;
  tries: number;
  requestId: string;
  /** The same object for all requests of a route, for its text is made once; "" where there is none. */
  route: LoggedRoute;
  referer: string;
  userAgent: string;
}

export interface LoggedRoute {
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
  readonly port: string;
}

/** One line, its "\n" included. Text is taken as bytes, one char a byte, as the heads were read. */
export function formatAccessLine(format: AccessLogFormat, record: AccessRecord): string {
  if (format === "json") return jsonLine(isClean(record) ? record : escaped(record, escapeJson));
  return nginxLine(isClean(record) ? record : escaped(record, escapeNginx));
}

/** Anything but printable ASCII without the quote and the backslash. */
const unclean = /[^ !#-[\]-~]/;

/** All text at once: one scan of a joined string costs less than eight short ones. */
function isClean(record: AccessRecord): boolean {
  const { method, host, target, requestId, referer, userAgent, remoteAddress, upstreamAddress } = record;
  return !unclean.test(method + host + target + requestId + referer + userAgent + remoteAddress + upstreamAddress);
}

function escaped(record: AccessRecord, quote: (text: string) => string): AccessRecord {
  return {
    ...record,
    remoteAddress: quote(record.remoteAddress),
    method: quote(record.method),
    host: quote(record.host),
    target: quote(record.target),
    upstreamAddress: quote(record.upstreamAddress),
    requestId: quote(record.requestId),
    referer: quote(record.referer),
    userAgent: quote(record.userAgent),
  };
}

interface RouteText {
  readonly json: string;
  readonly nginx: string;
}

const routeTexts = new WeakMap<LoggedRoute, RouteText>();

/** How a route is written in either format, escaped. */
function routeText(route: LoggedRoute): RouteText {
  let text = routeTexts.get(route);
  if (text === undefined) {
    const { namespace, ingress, service, port } = route;
    const [a, b, c, d] = [namespace, ingress, service, port].map(escapeJson);
    text = {
      json: `"namespace":"${a}","ingress":"${b}","service":"${c}","port":"${d}"`,
      nginx: service === "" ? "-" : escapeNginx(`${namespace}-${service}-${port}`),
    };
    routeTexts.set(route, text);
  }
  return text;
}

/** Every text of the record is escaped by now. */
function jsonLine(record: AccessRecord): string {
  const upstream =
    record.upstreamAddress === ""
      ? ""
      : `"upstream_status":${record.upstreamStatus},"upstream_bytes":${record.upstreamBytes},"upstream_duration":${micros(record.upstreamDuration)},`;
  return `{"time":"${isoTime(record.time)}","remote":"${record.remoteAddress}","method":"${record.method}","scheme":"${record.scheme}","host":"${record.host}","path":"${record.target}","protocol":"${record.protocol}","status":${record.status},"bytes":${record.bytes},"request_bytes":${record.requestBytes},"duration":${micros(record.duration)},"upstream":"${record.upstreamAddress}",${upstream}"tries":${record.tries},"request_id":"${record.requestId}",${routeText(record.route).json},"referer":"${record.referer}","user_agent":"${record.userAgent}"}\n`;
}

/**
 * `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
 * $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
 * $upstream_response_length $upstream_response_time $upstream_status $req_id`, in UTC, with "-" for what is empty.
 */
function nginxLine(record: AccessRecord): string {
  const upstream =
    record.upstreamAddress === ""
      ? "- - - -"
      : `${record.upstreamAddress} ${record.upstreamBytes} ${millis(record.upstreamDuration)} ${record.upstreamStatus}`;
  const service = routeText(record.route).nginx;
  const request = record.method === "" ? "-" : `${record.method} ${record.target} ${record.protocol}`;
  return `${record.remoteAddress || "-"} - - [${localTime(record.time)}] "${request}" ${record.status} ${record.bytes} "${record.referer || "-"}" "${record.userAgent || "-"}" ${record.requestBytes} ${millis(record.duration)} [${service}] [] ${upstream} ${record.requestId || "-"}\n`;
}

/** Everything but printable ASCII as \uXXXX, so that no reader, whatever it thinks of C1 or bidirectional controls, is misled. */
function escapeJson(text: string): string {
  return decoded(text).replace(/[^ !#-[\]-~]/g, (unit) =>
    unit === '"' || unit === "\\" ? `\\${unit}` : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** As nginx's own log escapes: \xXX for the quote, the backslash and every byte that is not printable ASCII. */
function escapeNginx(text: string): string {
  const bytes = Buffer.from(text, isBytes(text) ? "latin1" : "utf8").toString("latin1");
  return bytes.replace(
    /[^ !#-[\]-~]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Bytes that are UTF-8 as the text they stand for; any others as they are. */
function decoded(text: string): string {
  if (!isBytes(text)) return text;
  try {
    return utf8.decode(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isBytes(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0xff) return false;
  }
  return true;
}

const threeDigits = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, "0"));

/** Milliseconds as seconds with three decimals. toFixed would cost more than the rest of the line's numbers together. */
export function millis(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds));
  return `${Math.floor(whole / 1000)}.${threeDigits[whole % 1000]}`;
}

/** Milliseconds as seconds with six decimals. */
export function micros(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds * 1000));
  const thousands = Math.floor(whole / 1000);
  return `${Math.floor(thousands / 1000)}.${threeDigits[thousands % 1000]}${threeDigits[whole % 1000]}`;
}

let isoSecond = -1;
let isoText = "";

/** `2026-11-20T12:36:00.123Z`; the text of the second is kept, for thousands of lines share it. */
export function isoTime(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== isoSecond) {
    isoSecond = second;
    isoText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${isoText}${threeDigits[Math.floor(time) - second * 1000]}Z`;
}

let localSecond = -1;
let localText = "";

/** `20/Nov/2026:12:36:00 +0000`. */
export function localTime(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== localSecond) {
    localSecond = second;
    const [, day, month, year, clock] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(time).toUTCString()) ?? [];
    localText = `${day}/${month}/${year}:${clock} +0000`;
  }
  return localText;
}
