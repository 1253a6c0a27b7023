/**
 * Reads the requests.yaml of a case, with its short forms and defaults: `send: GET http://host/target`, `upstream: web`,
 * `answer: 404`. What is wrong in it is told with file and field.
 */
import { tlsVersions } from "../../src/model/upstream-tls.ts";
import type {
  Case,
  CaseAuthority,
  CaseClient,
  CaseRequest,
  CaseSecret,
  CaseUpstream,
  ExpectedAnswer,
  ExpectedUpstream,
  HeaderList,
  SentRequest,
  TlsOffer,
  UpstreamReply,
} from "./cases.ts";
import { asText, Fields } from "./fields.ts";

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
    secrets: new Map(fields.mapping("secrets").entries().map(readSecret)),
    authorities: new Map(fields.mapping("authorities").entries().map(readAuthority)),
    clients: new Map(fields.mapping("clients").entries().map(readClient)),
    names: new Map(fields.mapping("names").entries().map(readTexts)),
    problems: fields.list("problems", asText),
    requests: fields.list("requests", (item, place) => readRequest(item, place, upstreams)),
  };
  fields.finish();
  return result;
}

/** `web: 10.1.0.1:8080`, or a mapping with `addresses`, `tls`, `http2` and `refuses`. */
function readUpstream([name, value, place]: readonly [string, unknown, string]): CaseUpstream {
  if (typeof value === "string") {
    const offers = readOffer(new Fields({}, place));
    const plain = { tls: false, certificate: [], http2: false, offers, demandsCertificate: false, refuses: false };
    return { name, addresses: [value], ...plain };
  }
  const fields = new Fields(value, place);
  const upstream = {
    name,
    addresses: fields.list("addresses", asText),
    tls: fields.flag("tls"),
    certificate: fields.list("certificate", asText),
    http2: fields.flag("http2"),
    offers: readOffer(fields.mapping("offers")),
    demandsCertificate: fields.flag("demandsCertificate"),
    refuses: fields.flag("refuses"),
  };
  fields.finish();
  return upstream;
}

/** `shop/web: [shop.example]`, or a mapping with `names` and `keyType`. */
function readSecret([id, value, place]: readonly [string, unknown, string]): readonly [string, CaseSecret] {
  if (Array.isArray(value) || typeof value === "string") {
    const [, names] = readTexts([id, value, place]);
    return [id, { names, keyType: "ec" }];
  }
  const fields = new Fields(value, place);
  const secret = {
    names: fields.list("names", asText),
    keyType: fields.text("keyType") === "rsa" ? "rsa" : "ec",
  } as const;
  fields.finish();
  return [id, secret];
}

function readAuthority([id, value, place]: readonly [string, unknown, string]): readonly [string, CaseAuthority] {
  const fields = new Fields(value ?? {}, place);
  const authority = { revokes: fields.has("revokes") ? fields.list("revokes", asText) : null };
  fields.finish();
  return [id, authority];
}

function readClient([name, value, place]: readonly [string, unknown, string]): readonly [string, CaseClient] {
  const fields = new Fields(value ?? {}, place);
  const client = {
    from: fields.text("from"),
    commonName: fields.text("commonName") ?? name,
    organization: fields.text("organization"),
    expired: fields.flag("expired"),
    intermediates: fields.number("intermediates") ?? 0,
  };
  fields.finish();
  return [name, client];
}

function readTexts([name, value, place]: readonly [string, unknown, string]): readonly [string, readonly string[]] {
  return [name, new Fields({ [name]: value }, place).list(name, asText)];
}

/**
 * A request of the list: `send` is "GET http://host/target", or that with the other fields of SentRequest beside it;
 * `upstream` the name of one, or a mapping; `answer` a status, or a mapping. What the upstream saw is by default what was
 * sent, and the answer what the upstream replied.
 */
function readRequest(value: unknown, place: string, upstreams: readonly CaseUpstream[]): CaseRequest {
  const fields = new Fields(value, place);
  const send = readSend(fields);
  const expected = fields.raw("upstream") ?? null;
  const name =
    expected === null ? null : typeof expected === "string" ? expected : new Fields(expected, place).text("name");
  const reply = readReply(fields.raw("reply") ?? {}, fields.place("reply"), name);
  const upstream = expected === null ? null : readExpectedUpstream(expected, fields.place("upstream"), send, upstreams);
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
  const version = fields.text("version") ?? "1.1";
  if (!isVersion(version))
    throw new Error(`${fields.place("version")}: ${JSON.stringify(version)} is none of 1.0, 1.1, 2`);
  return {
    raw,
    preamble: fields.text("preamble") ?? "",
    scheme: (rawScheme ?? scheme) === "https" ? "https" : "http",
    method,
    target: fields.text("target") ?? (target === "" ? "/" : target),
    version,
    host: fields.has("host") ? fields.text("host") : authority,
    serverName: fields.text("serverName") ?? authority.replace(/:\d+$/, ""),
    client: fields.text("client"),
    signatures: fields.text("signatures"),
    offers: readOffer(fields.mapping("offers")),
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

function readOffer(fields: Fields): TlsOffer {
  const version = tlsVersions.find((each) => each === fields.text("version")) ?? null;
  if (fields.has("version") && version === null)
    throw new Error(`${fields.place("version")}: none of ${tlsVersions.join(", ")}`);
  const offer = { version, ciphers: fields.text("ciphers"), curves: fields.text("curves") };
  fields.finish();
  return offer;
}

function isVersion(text: string): text is SentRequest["version"] {
  return text === "1.0" || text === "1.1" || text === "2";
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
    reset: fields.flag("reset"),
  };
  fields.finish();
  return reply;
}

function readExpectedUpstream(
  value: unknown,
  place: string,
  send: SentRequest,
  upstreams: readonly CaseUpstream[],
): ExpectedUpstream {
  const fields = new Fields(typeof value === "string" ? { name: value } : value, place);
  const name = fields.requiredText("name");
  const upstream = upstreams.find((each) => each.name === name);
  if (upstream === undefined) throw new Error(`${place}: there is no upstream ${JSON.stringify(name)}`);
  const expected = {
    name,
    version: upstream.http2 ? "HTTP/2" : "HTTP/1.1",
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
  const failed = fields.text("failed");
  const status = failed === null ? (fields.number("status") ?? reply?.status ?? null) : 0;
  if (status === null) {
    throw new Error(`${place}: no upstream is asked, so the answer needs a status`);
  }
  const answer = {
    status,
    failed,
    headers: readHeaderMap(fields, "headers"),
    body: fields.text("body") ?? (reply?.status === status ? passedBody(reply, method) : null),
    trailers: readHeaderMap(fields, "trailers"),
    interim: fields.list("interim", (item) => Number(item)),
    certificate: fields.text("certificate"),
    certificateKey: fields.text("certificateKey"),
    handshake: fields.text("handshake"),
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
