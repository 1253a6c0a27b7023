/** What a recording upstream does on HTTP/2: with Node's own server, which shares no code with ours. */
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { HeaderList, UpstreamReply } from "./cases.ts";
import type { Message } from "./message-reader.ts";
import type { SeenRequest } from "./recording-upstream.ts";

/** Gives a function that serves a connection. `answer` is asked for each request that has arrived in full. */
export function recordHttp2(
  upstream: string,
  answer: (seen: SeenRequest) => UpstreamReply,
): (socket: Socket & Partial<Pick<TLSSocket, "servername">>) => void {
  // It listens nowhere: connections are given to it.
  const server = createServer();
  const serverNames = new WeakMap<object, string>();
  server.on("sessionError", () => {});
  server.on("stream", (stream: ServerHttp2Stream, _fields, _flags, raw: readonly string[]) => {
    const serverName = serverNames.get(stream.session ?? {}) ?? "";
    record(stream, raw, (seen) => answer({ ...seen, upstream, serverName }));
  });
  return (socket) => {
    const { servername } = socket;
    server.once("session", (session) => {
      if (typeof servername === "string") serverNames.set(session, servername);
    });
    server.emit("connection", socket);
  };
}

function record(stream: ServerHttp2Stream, raw: readonly string[], answer: (seen: Message) => UpstreamReply): void {
  const fields = pairsOf(raw);
  const pseudo = (name: string): string => fields.find(([other]) => other === name)?.[1] ?? "";
  // What a request of HTTP/1.1 has in its first line; the rest stands among the headers.
  const startLine = `${pseudo(":method")} ${pseudo(":path")} HTTP/2`;
  const headers = fields.filter(([name]) => name !== ":method" && name !== ":path");
  let trailers: Message["headers"] = [];
  let body = "";
  stream.on("error", () => {});
  stream.on("trailers", (_fields, _flags, sent: readonly string[]) => {
    trailers = pairsOf(sent);
  });
  stream.setEncoding("latin1");
  stream.on("data", (part: string) => {
    body += part;
  });
  stream.on("end", () => reply(stream, answer({ startLine, headers, body, trailers })));
}

function reply(stream: ServerHttp2Stream, { silent, interim, status, headers, ...told }: UpstreamReply): void {
  if (silent || stream.destroyed) return;
  for (const each of interim) stream.additionalHeaders({ ":status": each.status, ...Object.fromEntries(each.headers) });
  const parts = told.chunks ?? (told.body === "" ? [] : [told.body]);
  // Trailers alone are a head that ends the stream.
  const isOver = parts.length === 0 && told.trailers.length === 0 && !told.reset;
  stream.on("wantTrailers", () => stream.sendTrailers(Object.fromEntries(told.trailers)));
  stream.respond(
    [":status", String(status), ...headers.flatMap(lowerCase)] as never,
    {
      endStream: isOver,
      waitForTrailers: told.trailers.length > 0,
      sendDate: false,
    } as never,
  );
  if (isOver) return;
  for (const part of parts) stream.write(part, "latin1");
  if (!told.reset) stream.end();
  // Behind what was written; to close it would end it first.
  else stream.write("", () => stream.destroy(new Error("the case says so")));
}

function lowerCase([name, value]: HeaderList[number]): readonly string[] {
  return [name.toLowerCase(), value];
}

function pairsOf(raw: readonly string[]): Message["headers"] {
  return Array.from(
    { length: raw.length / 2 },
    (_, index) => [raw[2 * index] ?? "", raw[2 * index + 1] ?? ""] as const,
  );
}
