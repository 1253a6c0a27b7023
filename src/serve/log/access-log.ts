/**
 * The access log's two line formats: JSON, and ingress-nginx's upstreaminfo. A line is always one line of printable ASCII:
 * every value is scanned, and what could end a field, a line or a terminal's patience is escaped, whoever sent it. Where
 * lines go is log-sink.ts's. This is the hot path: about a microsecond a line, measured by test/bench/micro.ts.
 */
import type { RouteText } from "../../proxy/logged.ts";
import { ownCopy } from "../../wire/own-copy.ts";
import { clientText, protocolOf } from "./client-text.ts";
import { escapeJson, escapeNginx, unclean } from "./log-escape.ts";
import type { LoggedRequest, LoggedRoute } from "./logged-request.ts";

export type AccessLogFormat = "json" | "nginx";

/**
 * One line, its "\n" included, of a request that ended at `time`, in milliseconds since the epoch, after `duration`
 * milliseconds. Text is taken as bytes, one char a byte, as the heads were read.
 */
export function formatAccessLine(
  format: AccessLogFormat,
  request: LoggedRequest,
  time: number,
  duration: number,
): string {
  return format === "json" ? jsonLine(request, time, duration) : nginxLine(request, time, duration);
}

const noRoute: LoggedRoute = { namespace: "", ingress: "", service: "", port: "", logged: null };

function routeText(route: LoggedRoute): RouteText {
  if (route.logged === null) {
    const { namespace, ingress, service, port } = route;
    const [a, b, c, d] = [namespace, ingress, service, port].map(escapeJson);
    route.logged = {
      json: `","namespace":"${a}","ingress":"${b}","service":"${c}","port":"${d}","referer":"`,
      nginx: service === "" ? "-" : escapeNginx(`${namespace}-${service}-${port}`),
    };
  }
  return route.logged;
}

/** In as few pieces as it goes: each costs about as much as a number. */
function jsonLine(request: LoggedRequest, time: number, duration: number): string {
  const { labels } = request.route ?? { labels: noRoute };
  let { method, target, requestId, referer } = request;
  // All text at once: one scan of a joined string costs less than three short ones.
  if (unclean.test(method + target + requestId + referer)) {
    method = escapeJson(method);
    target = escapeJson(target);
    requestId = escapeJson(requestId);
    referer = escapeJson(referer);
  }
  const body = request.requestBytes === 0 ? ',"request_bytes":0,"duration":' : bodyText(request.requestBytes);
  const tried = request.tries === 1 ? ',"tries":1,"request_id":"' : triesText(request.tries);
  return `${isoSecond(time)}${threeDigits[millisecond(time)]}${clientText(request)}${method}${hostText(request)}${target}","status":${request.status},"bytes":${request.responseBytes}${body}${micros(duration)}${upstreamText(request)}${tried}${requestId}${routeText(labels).json}${referer}"}\n`;
}

/** From the end of the method to the start of the path. */
function hostText({ asked, authority }: LoggedRequest): string {
  if (asked === null) return hostJson(authority);
  asked.logged ??= ownCopy(hostJson(authority));
  return asked.logged;
}

function hostJson(authority: string): string {
  return `","host":"${escapeJson(authority)}","path":"`;
}

function bodyText(bytes: number): string {
  return `,"request_bytes":${bytes},"duration":`;
}

function triesText(tries: number): string {
  return `,"tries":${tries},"request_id":"`;
}

function upstreamText(request: LoggedRequest): string {
  const { upstreamAddress } = request;
  if (upstreamAddress === "") return ',"upstream":""';
  return `${addressText(upstreamAddress)}${request.upstreamStatus},"upstream_bytes":${request.upstreamBytes},"upstream_duration":${micros(request.upstreamDuration)}`;
}

/** Of endpoints there are few, and they are asked again and again; lists of those that failed are without end. */
const addressTexts = new Map<string, string>();
const addressesAtMost = 1_024;

function addressText(address: string): string {
  let text = addressTexts.get(address);
  if (text === undefined) {
    text = `,"upstream":"${escapeJson(address)}","upstream_status":`;
    if (addressTexts.size >= addressesAtMost) addressTexts.clear();
    addressTexts.set(address, text);
  }
  return text;
}

/**
 * `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
 * $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
 * $upstream_response_length $upstream_response_time $upstream_status $req_id`, in UTC, with "-" for what is empty.
 */
function nginxLine(request: LoggedRequest, time: number, duration: number): string {
  let { clientAddress, method, target, upstreamAddress, requestId, referer, userAgent } = request;
  if (unclean.test(method + target + requestId + referer + userAgent + clientAddress + upstreamAddress)) {
    clientAddress = escapeNginx(clientAddress);
    method = escapeNginx(method);
    target = escapeNginx(target);
    upstreamAddress = escapeNginx(upstreamAddress);
    requestId = escapeNginx(requestId);
    referer = escapeNginx(referer);
    userAgent = escapeNginx(userAgent);
  }
  const upstream =
    upstreamAddress === ""
      ? "- - - -"
      : `${upstreamAddress} ${request.upstreamBytes} ${millis(request.upstreamDuration)} ${request.upstreamStatus}`;
  const service = routeText(request.route?.labels ?? noRoute).nginx;
  const asked = method === "" ? "-" : `${method} ${target} ${protocolOf(request)}`;
  return `${clientAddress || "-"} - - [${localTime(time)}] "${asked}" ${request.status} ${request.responseBytes} "${referer || "-"}" "${userAgent || "-"}" ${request.requestBytes} ${millis(duration)} [${service}] [] ${upstream} ${requestId || "-"}\n`;
}

const threeDigits = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, "0"));
/** The milliseconds of less than a second, the point included. */
const belowOne = threeDigits.map((digits) => `0.${digits}`);

/** Milliseconds as seconds with three decimals. toFixed would cost more than the rest of the line's numbers together. */
export function millis(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds));
  return `${Math.floor(whole / 1000)}.${threeDigits[whole % 1000]}`;
}

/** Milliseconds as seconds with six decimals. */
export function micros(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds * 1000));
  const thousands = Math.floor(whole / 1000);
  const below = threeDigits[whole % 1000];
  if (thousands < 1000) return `${belowOne[thousands]}${below}`;
  return `${Math.floor(thousands / 1000)}.${threeDigits[thousands % 1000]}${below}`;
}

let secondKept = -1;
let secondText = "";

/** The start of a JSON line, as far as its time's seconds; the text is kept, for thousands of lines share it. */
function isoSecond(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== secondKept) {
    secondKept = second;
    secondText = `{"time":"${new Date(second * 1000).toISOString().slice(0, 20)}`;
  }
  return secondText;
}

function millisecond(time: number): number {
  return Math.floor(time) - Math.floor(time / 1000) * 1000;
}

/** The start of a JSON line, `{"time":"2026-11-20T12:36:00.123Z"`. */
export function jsonTime(time: number): string {
  return `${isoSecond(time)}${threeDigits[millisecond(time)]}Z"`;
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
