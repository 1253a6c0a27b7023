import assert from "node:assert/strict";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { selectPart } from "../../src/render/select.ts";
import { findDirectives } from "../support/nginx-parser.ts";
import { streamService } from "../support/streams.ts";
import { argsOf, host, passed, render, renderSettings, route, snapshot } from "./snapshots.ts";

/** What the servers of the http block listen on for HTTPS. */
function httpsOf(rendered: ReturnType<typeof render>): readonly (readonly string[])[] {
  const [http] = findDirectives(rendered.directives, "http");
  return findDirectives(http?.block ?? [], "listen")
    .map(({ args }) => args)
    .filter((args) => args.includes("ssl") && args.includes("default_server"));
}

function streamOf(rendered: ReturnType<typeof render>) {
  return findDirectives(rendered.directives, "stream")[0]?.block ?? [];
}

describe("TLS that is passed through, in nginx.conf", () => {
  it("costs nothing where there is none", () => {
    const rendered = render(snapshot({ hosts: [host("a.example", route("/", "web"))] }));
    assert.deepEqual(streamOf(rendered), []);
    assert.deepEqual(httpsOf(rendered), [["127.0.0.1:8443", "ssl", "http2", "default_server"]]);
    assert.deepEqual(argsOf(rendered, "real_ip_header"), [["X-Forwarded-For"]]);
  });

  it("has the port of HTTPS, and the other hosts the next free one below it on the loopback", () => {
    const rows: readonly (readonly [Partial<typeof renderSettings>, Partial<Snapshot>, string])[] = [
      [{}, {}, "127.0.0.1:8442"],
      [{ httpPort: 8442 }, {}, "127.0.0.1:8441"],
      [{}, { streams: [streamService(8442, [1])] }, "127.0.0.1:8441"],
      [{}, { streams: [streamService(8442, [1], { protocol: "udp" })] }, "127.0.0.1:8442"],
      [{ httpPort: 80, httpsPort: 443 }, {}, "127.0.0.1:442"],
      [{ httpPort: 1, httpsPort: 2 }, {}, "127.0.0.1:3"],
    ];
    for (const [change, rest, inner] of rows) {
      const settings = { ...renderSettings, ...change };
      const rendered = render(snapshot({ hosts: [passed("a.example")], ...rest }), { settings });
      assert.deepEqual(httpsOf(rendered), [[inner, "proxy_protocol", "ssl", "http2", "default_server"]]);
      const stream = streamOf(rendered);
      const [map] = findDirectives(stream, "map");
      assert.deepEqual(map?.block?.at(-1)?.args, [inner]);
      assert.ok(
        findDirectives(stream, "listen").some(({ args }) => args[0] === `127.0.0.1:${settings.httpsPort}`),
        inner,
      );
    }
  });

  it("goes by precise names before wildcards, and leaves precise ones that are ended here alone", () => {
    const hosts = [passed("*.a.example"), host("x.a.example", route("/", "web")), passed("y.a.example")];
    const rendered = render(snapshot({ hosts }));
    const [map] = findDirectives(streamOf(rendered), "map");
    assert.deepEqual(
      map?.block?.map(({ name, args }) => [name, ...args].join(" ")),
      [
        "~*^y\\.a\\.example\\.?$ 127.0.1.1:8442",
        "~*^x\\.a\\.example\\.?$ 127.0.0.1:8442",
        "~*^[^.]+\\.a\\.example\\.?$ 127.0.1.2:8442",
        "default 127.0.0.1:8442",
      ],
    );
  });

  it("keeps its guards, and is closed where one cannot be written or nobody is behind it", () => {
    const blockOf = (...hosts: Parameters<typeof passed>[1][]) => {
      const rendered = render(snapshot({ hosts: hosts.map((change) => passed("a.example", change)) }));
      const servers = findDirectives(streamOf(rendered), "server").filter(({ block }) => block !== null);
      return servers.at(-1)?.block?.map(({ name, args }) => [name, ...args].join(" ")) ?? [];
    };
    const range = { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] };
    const guarded = blockOf({ sourceRange: range });
    assert.deepEqual(
      guarded.filter((each) => /^(?:allow|deny)/.test(each)),
      ["deny 10.1.0.0/16", "allow 10.0.0.0/8", "deny all"],
    );
    assert.ok(guarded.includes("proxy_pass tls.00001"));
    const closed = ["listen 127.0.1.1:8442 proxy_protocol", "set_real_ip_from 127.0.0.1/32", "return "];
    assert.deepEqual(blockOf({ sourceRange: { allow: ["10.0.0.0/8\n"], deny: [] } }), closed);
    assert.deepEqual(blockOf({ backend: { kind: "notFound" } }), closed);
  });

  it("tells what nginx does otherwise", () => {
    const settings = { ...renderSettings, trustedProxies: ["10.0.0.0/8"], useProxyProtocol: true };
    const rendered = render(snapshot({ hosts: [passed("a.example", { sendProxy: 2 })] }), { settings });
    const reasons = rendered.notes.map(({ reason }) => reason).join("\n");
    assert.match(reasons, /the PROXY headers to the Service tell an address of the loopback/);
    assert.match(reasons, /they are of version 1/);
    assert.match(reasons, /the address in X-Forwarded-For of a client .* is not looked at/);
    assert.match(reasons, /the port that a PROXY protocol header before TLS says .* is not told/);
    const plain = render(snapshot({ hosts: [passed("a.example")] }));
    assert.deepEqual(plain.notes, []);
  });

  it("keeps its upstream where a part is asked for", () => {
    const whole = snapshot({ hosts: [{ ...passed("a.example"), routes: [] }, host("b.example", route("/", "api"))] });
    const { upstreams } = selectPart(whole, { hosts: ["a.example"] });
    assert.deepEqual(
      upstreams.map(({ key }) => key),
      ["shop/web/80"],
    );
  });
});
