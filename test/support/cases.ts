/**
 * The corpus of test/cases: one directory an idea, with manifests as a user would write them and the requests that prove
 * it. This file is the schema of requests.yaml; it is described field by field in the types below.
 *
 * Manifests name addresses as a cluster would (10.1.0.1:8080). requests.yaml says which upstream of the test stands
 * behind an address, and the harness moves the endpoints of the translated Snapshot to the port on which it runs.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { asText, Fields } from "./fields.ts";

export interface Case {
  readonly name: string;
  readonly about: string;
  readonly manifests: string;
  /** Where the manifests were read, for messages. */
  readonly file: string;
  /** Fields of Settings that differ from the defaults. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly upstreams: readonly CaseUpstream[];
  /** `namespace/name` of TLS Secrets that the harness makes, with the DNS names of their certificates. */
  readonly secrets: ReadonlyMap<string, readonly string[]>;
  /** Addresses by external name, in place of DNS. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  /** Codes of the Problems that translation must find, each as often as it stands here. */
  readonly problems: readonly string[];
  readonly requests: readonly CaseRequest[];
}

export interface CaseUpstream {
  readonly name: string;
  /** "10.1.0.1:8080", as the manifests have it. */
  readonly addresses: readonly string[];
  readonly tls: boolean;
  /** Nothing listens there. */
  readonly refuses: boolean;
}

export type HeaderList = readonly (readonly [string, string])[];

export interface CaseRequest {
  /** `name` of the request, or its method and target. */
  readonly label: string;
  /** Where it stands in requests.yaml. */
  readonly place: string;
  readonly send: SentRequest;
  readonly reply: UpstreamReply;
  /** What the upstream must have seen; null: no upstream was asked. */
  readonly upstream: ExpectedUpstream | null;
  readonly answer: ExpectedAnswer;
}

export interface SentRequest {
  /** All bytes of the request, where the fields below cannot say it; null otherwise. */
  readonly raw: string | null;
  readonly scheme: "http" | "https";
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** The Host field; null: none. */
  readonly host: string | null;
  /** TLS server name; "" for none. */
  readonly serverName: string;
  readonly headers: HeaderList;
  /** Sent with Content-Length; null: no body. Written as `body`, or as `bodyBytes` for a long one. */
  readonly body: string | null;
  /** Sent chunked, each as one chunk. */
  readonly chunks: readonly string[] | null;
  readonly trailers: HeaderList;
  /** The body is sent when 100 (Continue) has come, or not at all. */
  readonly waitForContinue: boolean;
  /** Requests of a case with the same label are sent on one connection. */
  readonly connection: string | null;
  /** Sent without waiting for the answer to the one before it on the connection. */
  readonly pipelined: boolean;
  /** Sent through the tunnel after 101; the upstream sends everything back. */
  readonly tunnel: string | null;
}

export interface UpstreamReply {
  readonly status: number;
  readonly headers: HeaderList;
  /** Sent with Content-Length. */
  readonly body: string;
  readonly chunks: readonly string[] | null;
  readonly trailers: HeaderList;
  /** 1xx responses sent first. */
  readonly interim: readonly { readonly status: number; readonly headers: HeaderList }[];
  /** All bytes of the response, in place of the above. */
  readonly raw: string | null;
  /** The connection ends with the response, which frames its body when nothing else does. */
  readonly close: boolean;
  /** No answer at all; the connection stays open. */
  readonly silent: boolean;
}

export interface ExpectedUpstream {
  readonly name: string;
  readonly method: string;
  readonly target: string;
  /** Values by lower-case name, several joined by ", "; null: the header must be absent. `<id>`, `<port>`: see exchange.ts. */
  readonly headers: ReadonlyMap<string, string | null>;
  readonly body: string;
  readonly trailers: ReadonlyMap<string, string | null>;
  /** TLS server name that the upstream was asked for; null: not looked at. */
  readonly serverName: string | null;
}

export interface ExpectedAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string | null>;
  /** null: not looked at. */
  readonly body: string | null;
  readonly trailers: ReadonlyMap<string, string | null>;
  readonly interim: readonly number[];
  /** First DNS name of the certificate served; "self-signed" for the default one; null: not looked at. */
  readonly certificate: string | null;
  /** What came back through the tunnel. */
  readonly tunnel: string | null;
}

/** Every case, by name. Throws with file and field when one breaks the schema. */
export function loadCases(): readonly Case[] {
  const directory = join(import.meta.dirname, "..", "cases");
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .map((name) => loadCase(join(directory, name), name));
}

function loadCase(directory: string, name: string): Case {
  const text = readFileSync(join(directory, "requests.yaml"), "utf8");
  return readCase(parse(text), {
    name,
    manifests: readFileSync(join(directory, "manifests.yaml"), "utf8"),
    file: `test/cases/${name}/manifests.yaml`,
  });
}

/** The parsed text of a requests.yaml. */
export function readCase(value: unknown, from: Pick<Case, "name" | "manifests" | "file">): Case {
  const fields = new Fields(value, `${from.name}/requests.yaml`);
  const upstreams = fields.mapping("upstreams").entries().map(readUpstream);
  const result: Case = {
    ...from,
    about: fields.requiredText("about"),
    settings: Object.fromEntries(
      fields
        .mapping("settings")
        .entries()
        .map(([name, setting]) => [name, setting]),
    ),
    upstreams,
    secrets: new Map(fields.mapping("secrets").entries().map(readTexts)),
    names: new Map(fields.mapping("names").entries().map(readTexts)),
    problems: fields.list("problems", asText),
    requests: fields.list("requests", readRequest),
  };
  fields.finish();
  const known = new Set(upstreams.map((upstream) => upstream.name));
  for (const { label, upstream } of result.requests) {
    if (upstream !== null && !known.has(upstream.name)) {
      throw new Error(`${from.name}/requests.yaml: ${label}: there is no upstream ${JSON.stringify(upstream.name)}`);
    }
  }
  return result;
}

/** `web: 10.1.0.1:8080`, or a mapping with `addresses`, `tls` and `refuses`. */
function readUpstream([name, value, place]: readonly [string, unknown, string]): CaseUpstream {
  if (typeof value === "string") {
    return { name, addresses: [value], tls: false, refuses: false };
  }
  const fields = new Fields(value, place);
  const upstream = {
    name,
    addresses: fields.list("addresses", asText),
    tls: fields.flag("tls"),
    refuses: fields.flag("refuses"),
  };
  fields.finish();
  return upstream;
}

function readTexts([name, value, place]: readonly [string, unknown, string]): readonly [string, readonly string[]] {
  return [name, new Fields({ [name]: value }, place).list(name, asText)];
}

/**
 * A request of the list: `send` is "GET http://host/target", or that with the other fields of SentRequest beside it;
 * `upstream` the name of one, or a mapping; `answer` a status, or a mapping. What the upstream saw is by default what was
 * sent, and the answer what the upstream replied.
 */
function readRequest(value: unknown, place: string): CaseRequest {
  const fields = new Fields(value, place);
  const send = readSend(fields);
  const expected = fields.raw("upstream") ?? null;
  const name =
    expected === null ? null : typeof expected === "string" ? expected : new Fields(expected, place).text("name");
  const reply = readReply(fields.raw("reply") ?? {}, fields.place("reply"), name);
  const upstream = expected === null ? null : readExpectedUpstream(expected, fields.place("upstream"), send);
  const answer = readAnswer(
    fields.raw("answer") ?? {},
    fields.place("answer"),
    upstream === null ? null : reply,
    send.method,
  );
  const label = fields.text("name") ?? (send.raw === null ? `${send.method} ${send.target}` : "raw");
  fields.finish();
  return { label, place, send, reply, upstream, answer };
}

function readSend(fields: Fields): SentRequest {
  const line = fields.text("send");
  const raw = fields.text("raw");
  const [, method = "GET", scheme = "http", authority = "", target = "/"] =
    /^(\S+) (https?):\/\/([^/?# ]*)(\S*)$/.exec(line ?? "") ?? [];
  if (line !== null && authority === "") {
    throw new Error(`${fields.place("send")}: ${JSON.stringify(line)} is not like "GET http://host/target"`);
  }
  if ((line === null) === (raw === null)) {
    throw new Error(`${fields.place("send")}: either send or raw has to be there`);
  }
  const rawScheme = fields.text("scheme");
  return {
    raw,
    scheme: (rawScheme ?? scheme) === "https" ? "https" : "http",
    method,
    target: fields.text("target") ?? (target === "" ? "/" : target),
    version: fields.text("version") === "1.0" ? "1.0" : "1.1",
    host: fields.has("host") ? fields.text("host") : authority,
    serverName: fields.text("serverName") ?? authority.replace(/:\d+$/, ""),
    headers: readHeaderList(fields, "headers"),
    body: readBody(fields),
    chunks: fields.has("chunks") ? fields.list("chunks", asText) : null,
    trailers: readHeaderList(fields, "trailers"),
    waitForContinue: fields.flag("waitForContinue"),
    connection: fields.text("connection"),
    pipelined: fields.flag("pipelined"),
    tunnel: fields.text("tunnel"),
  };
}

/** What the reply carries when the case does not say. */
const usualHeaders: HeaderList = [
  ["Server", "upstream"],
  ["Date", "Thu, 01 Jan 2026 00:00:00 GMT"],
  ["Content-Type", "text/plain"],
];

function readReply(value: unknown, place: string, upstream: string | null): UpstreamReply {
  const fields = new Fields(value, place);
  const reply = {
    status: fields.number("status") ?? 200,
    headers: fields.has("headers") ? readHeaderList(fields, "headers") : usualHeaders,
    body: readBody(fields) ?? `${upstream ?? "nobody"}\n`,
    chunks: fields.has("chunks") ? fields.list("chunks", asText) : null,
    trailers: readHeaderList(fields, "trailers"),
    interim: fields.list("interim", (item, at) => {
      const interim = new Fields(item, at);
      const read = { status: interim.number("status") ?? 103, headers: readHeaderList(interim, "headers") };
      interim.finish();
      return read;
    }),
    raw: fields.text("raw"),
    close: fields.flag("close"),
    silent: fields.flag("silent"),
  };
  fields.finish();
  return reply;
}

function readExpectedUpstream(value: unknown, place: string, send: SentRequest): ExpectedUpstream {
  const fields = new Fields(typeof value === "string" ? { name: value } : value, place);
  const expected = {
    name: fields.requiredText("name"),
    method: fields.text("method") ?? send.method,
    target: fields.text("target") ?? send.target,
    headers: readHeaderMap(fields, "headers"),
    body: fields.text("body") ?? send.body ?? send.chunks?.join("") ?? "",
    trailers: readHeaderMap(fields, "trailers"),
    serverName: fields.text("serverName"),
  };
  fields.finish();
  return expected;
}

function readAnswer(value: unknown, place: string, reply: UpstreamReply | null, method: string): ExpectedAnswer {
  const fields = new Fields(typeof value === "number" ? { status: value } : value, place);
  const status = fields.number("status") ?? reply?.status ?? null;
  if (status === null) {
    throw new Error(`${place}: no upstream is asked, so the answer needs a status`);
  }
  const answer = {
    status,
    headers: readHeaderMap(fields, "headers"),
    body: fields.text("body") ?? (reply?.status === status ? passedBody(reply, method) : null),
    trailers: readHeaderMap(fields, "trailers"),
    interim: fields.list("interim", (item) => Number(item)),
    certificate: fields.text("certificate"),
    tunnel: fields.text("tunnel"),
  };
  fields.finish();
  return answer;
}

/** The body that arrives when the reply passes as it is; null where the reply is raw. */
function passedBody(reply: UpstreamReply, method: string): string | null {
  const { status } = reply;
  if (method === "HEAD" || status === 101 || status === 204 || status === 304) {
    return "";
  }
  return reply.raw === null ? (reply.chunks?.join("") ?? reply.body) : null;
}

/** `body`, or `bodyBytes` for a long one of that many bytes. */
function readBody(fields: Fields): string | null {
  const bytes = fields.number("bodyBytes");
  return bytes === null ? fields.text("body") : longText.repeat(Math.ceil(bytes / longText.length)).slice(0, bytes);
}

const longText = Array.from({ length: 1000 }, (_, line) => `line ${line}\n`).join("");

/** A list of "Name: value". */
function readHeaderList(fields: Fields, name: string): HeaderList {
  return fields.list(name, (item, place) => {
    const [, header = "", value = ""] = /^([^:]*): ?(.*)$/s.exec(asText(item, place)) ?? [];
    if (header === "") {
      throw new Error(`${place}: not like "Name: value"`);
    }
    return [header, value] as const;
  });
}

/** Values by name; null for a header that must be absent. */
function readHeaderMap(fields: Fields, name: string): ReadonlyMap<string, string | null> {
  return new Map(
    fields
      .mapping(name)
      .entries()
      .map(([header, value, place]) => [header.toLowerCase(), value === null ? null : asText(value, place)]),
  );
}
