import assert from "node:assert/strict";
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { Api, type StreamOptions } from "../../../src/sources/kubernetes/api.ts";
import { systemClock } from "../../../src/sources/kubernetes/clock.ts";
import type { Access } from "../../../src/sources/kubernetes/credentials.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { makeCertificate, testRoot } from "../../support/pki.ts";
import { Relay } from "../../support/relay.ts";

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

const json = { "Content-Type": "application/json" };

describe("the client of the API server", () => {
  const closing: (() => void)[] = [];

  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  async function serve(handler: Handler, server: Server = createServer(makeCertificate({ names: ["127.0.0.1"] }))) {
    server.on("request", handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return { server, url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  function client(url: string, access: Partial<Access> | (() => Promise<Access>) = {}) {
    const counts = { renewals: 0 };
    const fixed: Access = { server: new URL(url), headers: {}, tls: { ca: testRoot().cert }, ...access };
    const api = new Api({
      clock: systemClock,
      userAgent: "sluice/1.2.3",
      credentials: {
        origin: "the test",
        namespace: null,
        access: typeof access === "function" ? access : () => Promise.resolve(fixed),
        renew: () => {
          counts.renewals += 1;
        },
      },
    });
    closing.push(() => api.close());
    return { api, counts };
  }

  function streamOptions(options: Partial<StreamOptions> = {}): StreamOptions {
    const signal = new AbortController().signal;
    return { query: {}, signal, headLimit: 5000, idleLimit: () => 5000, onData: () => undefined, ...options };
  }

  async function failureOf(promise: Promise<unknown>): Promise<ApiFailure> {
    try {
      await promise;
    } catch (error) {
      assert.ok(error instanceof ApiFailure, String(error));
      return error;
    }
    throw new assert.AssertionError({ message: "it did not fail" });
  }

  it("sends what it is given below the server's own prefix, and returns the parsed answer", async () => {
    const seen: Record<string, unknown> = {};
    const { url } = await serve((incoming, outgoing) => {
      const { method, url: target, headers } = incoming;
      incoming.setEncoding("utf8").on("data", (text) => Object.assign(seen, { body: text }));
      incoming.on("end", () => {
        Object.assign(seen, {
          method,
          target,
          type: headers["content-type"],
          agent: headers["user-agent"],
          auth: headers.authorization,
        });
        outgoing.writeHead(201, json).end('{"kind":"Lease"}');
      });
    });
    const { api } = client(`${url}/k8s/clusters/c-1/`, { headers: { Authorization: "Bearer x" } });
    const answer = await api.call("PATCH", "/apis/a", {
      query: { fieldManager: "sl&uice" },
      body: { a: "ü" },
      contentType: "application/merge-patch+json",
    });
    assert.deepEqual(answer, { kind: "Lease" });
    assert.deepEqual(seen, {
      method: "PATCH",
      target: "/k8s/clusters/c-1/apis/a?fieldManager=sl%26uice",
      type: "application/merge-patch+json",
      agent: "sluice/1.2.3",
      auth: "Bearer x",
      body: '{"a":"ü"}',
    });
  });

  for (const [status, headers, kind, retryAfter] of [
    [401, {}, "unauthorized", null],
    [403, {}, "forbidden", null],
    [404, {}, "absent", null],
    [409, {}, "conflict", null],
    [410, {}, "gone", null],
    [422, {}, "refused", null],
    [429, { "Retry-After": "7" }, "throttled", 7000],
    [500, {}, "server", null],
    [503, {}, "server", null],
    [503, { "Retry-After": "1" }, "throttled", 1000],
    [302, { Location: "https://elsewhere.example" }, "refused", null],
  ] as const) {
    it(`fails as ${kind} when the answer is ${status}${"Retry-After" in headers ? " with Retry-After" : ""}`, async () => {
      const { url } = await serve((_, outgoing) =>
        outgoing.writeHead(status, { ...json, ...headers }).end(JSON.stringify({ kind: "Status", message: "because" })),
      );
      const { api, counts } = client(url);
      const failure = await failureOf(api.call("GET", "/a"));
      assert.deepEqual([failure.kind, failure.status, failure.retryAfter], [kind, status, retryAfter]);
      assert.match(failure.message, /because/);
      assert.equal((await failureOf(api.stream("/a", streamOptions()))).kind, kind);
      assert.equal(counts.renewals, status === 401 ? 2 : 0);
    });
  }

  it("fails as malformed when the answer is not JSON", async () => {
    const { url } = await serve((_, outgoing) => outgoing.end("<html>"));
    assert.equal((await failureOf(client(url).api.call("GET", "/a"))).kind, "malformed");
  });

  it("fails as silent when no answer comes in time, neither its head nor its end", async () => {
    const { url } = await serve((incoming, outgoing) => {
      if (incoming.url === "/half") outgoing.write("{");
    });
    const { api } = client(url);
    assert.equal((await failureOf(api.call("GET", "/none", { limit: 60 }))).kind, "silent");
    assert.equal((await failureOf(api.call("GET", "/half", { limit: 60 }))).kind, "silent");
    assert.equal((await failureOf(api.stream("/none", streamOptions({ headLimit: 60 })))).kind, "silent");
    assert.equal((await failureOf(api.stream("/half", streamOptions({ idleLimit: () => 60 })))).kind, "silent");
  });

  it("does not take for silence what it has not read yet, as it was held up itself", async () => {
    const { url } = await serve((incoming, outgoing) => {
      if (incoming.url === "/stream") outgoing.write("1");
      // As soon as the answer is on its way: it is there, unread, when the limit is over.
      setImmediate(() => {
        if (incoming.url === "/stream") outgoing.end("2");
        else outgoing.end("{}");
        const end = performance.now() + 400;
        while (performance.now() < end);
      });
    });
    const { api } = client(url);
    assert.deepEqual(await api.call("GET", "/head", { limit: 300 }), {});
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
    };
    await api.stream("/stream", streamOptions({ headLimit: 300, idleLimit: () => 300, onData }));
    assert.equal(text, "12");
  });

  it("reads a stream for as long as something comes, however slow", async () => {
    const { url } = await serve((_, outgoing) => {
      let pieces = 0;
      const timer = setInterval(() => {
        pieces += 1;
        outgoing.write(`${pieces}`);
        if (pieces === 8) {
          clearInterval(timer);
          outgoing.end();
        }
      }, 30);
    });
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
    };
    await client(url).api.stream("/a", streamOptions({ idleLimit: () => 150, onData }));
    assert.equal(text, "12345678");
  });

  it("fails as unreachable when the connection breaks in the middle of a stream", async () => {
    const { url } = await serve((_, outgoing) => outgoing.write("x", () => outgoing.destroy()));
    assert.equal((await failureOf(client(url).api.stream("/a", streamOptions()))).kind, "unreachable");
  });

  it("ends a stream when its reader throws, with what it threw", async () => {
    let closed = false;
    const { url } = await serve((_, outgoing) => {
      outgoing.write("x");
      outgoing.on("close", () => {
        closed = true;
      });
    });
    const onData = (): void => {
      throw new ApiFailure("gone", "enough");
    };
    assert.equal((await failureOf(client(url).api.stream("/a", streamOptions({ onData })))).kind, "gone");
    while (!closed) await new Promise((resolve) => setTimeout(resolve, 2));
  });

  it("ends at once when it is told to, before the answer and in the middle of it", async () => {
    const { url } = await serve((incoming, outgoing) => {
      if (incoming.url === "/half") outgoing.write("x");
    });
    for (const path of ["/none", "/half"]) {
      const stop = new AbortController();
      const onData = (): void => stop.abort();
      if (path === "/none") setTimeout(() => stop.abort(), 20);
      const began = performance.now();
      await assert.rejects(client(url).api.stream(path, streamOptions({ signal: stop.signal, onData })));
      assert.ok(performance.now() - began < 3000);
    }
  });

  it("asks again by itself when a kept connection was closed just then", async () => {
    const sockets = new Set<unknown>();
    const server = createServer({ ...makeCertificate({ names: ["127.0.0.1"] }), keepAlive: true });
    const { url } = await serve((incoming, outgoing) => {
      const again = sockets.has(incoming.socket);
      sockets.add(incoming.socket);
      if (again) incoming.socket.destroy();
      else outgoing.end("{}");
    }, server);
    const { api } = client(url);
    await api.call("GET", "/a");
    await api.call("GET", "/a");
    assert.equal(sockets.size, 2);
    // But what may have had an effect is not sent twice.
    assert.equal((await failureOf(api.call("POST", "/a", { body: {} }))).kind, "unreachable");
  });

  it("trusts no other kept connection when one turned out to be dead", async () => {
    const { url } = await serve((_, outgoing) => outgoing.end("{}"));
    const network = new Relay(() => Number(new URL(url).port));
    await network.start();
    try {
      const { api } = client(`https://127.0.0.1:${network.port}`);
      await Promise.all([1, 2, 3].map(() => api.call("GET", "/a")));
      network.freeze();
      network.thaw();
      assert.equal((await failureOf(api.call("GET", "/a", { limit: 60 }))).kind, "silent");
      await api.call("GET", "/a", { limit: 2000 });
    } finally {
      await network.stop();
    }
  });

  it("lets probes keep an idle connection alive and sends small requests at once", async () => {
    const set: unknown[] = [];
    const { url } = await serve((_, outgoing) => outgoing.end("{}"));
    const agentAccess = client(url);
    const { Socket } = await import("node:net");
    const { setKeepAlive, setNoDelay } = Socket.prototype;
    Socket.prototype.setKeepAlive = function record(...args) {
      set.push(args);
      Reflect.apply(setKeepAlive, this, args);
      return this;
    };
    Socket.prototype.setNoDelay = function record(...args) {
      set.push("no delay");
      Reflect.apply(setNoDelay, this, args);
      return this;
    };
    try {
      await agentAccess.api.call("GET", "/a");
    } finally {
      Object.assign(Socket.prototype, { setKeepAlive, setNoDelay });
    }
    assert.ok(
      set.some((args) => JSON.stringify(args) === "[true,15000]"),
      JSON.stringify(set),
    );
    assert.ok(set.includes("no delay"));
  });

  it("does not trust a server of another authority, and trusts it as soon as the authority is replaced", async () => {
    const other = makeCertificate({ names: [], commonName: "Other root", issuer: "self", isAuthority: true });
    const { url } = await serve(
      (_, outgoing) => outgoing.end("{}"),
      createServer(makeCertificate({ names: ["127.0.0.1"], issuer: other })),
    );
    let ca = testRoot().cert;
    const { api } = client(url, () => Promise.resolve({ server: new URL(url), headers: {}, tls: { ca } }));
    const failure = await failureOf(api.call("GET", "/a"));
    assert.equal(failure.kind, "unreachable");
    assert.match(failure.message, /certificate/);
    ca = other.cert;
    assert.deepEqual(await api.call("GET", "/a"), {});
  });

  it("shows a client certificate where it has one", async () => {
    const server = createServer({
      ...makeCertificate({ names: ["127.0.0.1"] }),
      requestCert: true,
      ca: testRoot().cert,
    });
    const { url } = await serve((incoming, outgoing) => {
      const { subject } = (incoming.socket as TLSSocket).getPeerCertificate();
      outgoing.end(JSON.stringify({ name: subject?.CN }));
    }, server);
    const { cert, key } = makeCertificate({ names: [], commonName: "operator" });
    const { api } = client(url, { tls: { ca: testRoot().cert, cert, key } });
    assert.deepEqual(await api.call("GET", "/a"), { name: "operator" });
  });

  it("speaks plain HTTP to a proxy such as kubectl's", async () => {
    const server = createPlainServer((_, outgoing) => outgoing.end('{"plain":true}'));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => server.close());
    const { api } = client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.deepEqual(await api.call("GET", "/a"), { plain: true });
    api.close();
  });

  it("says where the credentials come from when they cannot be read", async () => {
    const { api } = client("https://127.0.0.1:1", () => Promise.reject(new Error("no such plugin")));
    const failure = await failureOf(api.call("GET", "/a"));
    assert.equal(failure.kind, "unreachable");
    assert.match(failure.message, /the test cannot be used: no such plugin/);
  });
});
