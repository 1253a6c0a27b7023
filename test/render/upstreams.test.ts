import assert from "node:assert/strict";
import fc from "fast-check";
import type { UpstreamOptions } from "../../src/model/snapshot.ts";
import { endpointAddress, upstreamName } from "../../src/render/names.ts";
import { findDirectives } from "../support/nginx-parser.ts";
import { argsOf, host, locationsOf, render, route, serverNamed, snapshot, upstream } from "./snapshots.ts";

describe("the upstreams", () => {
  it("have their endpoints, and name those that are no address", () => {
    const endpoints = [
      { address: "10.0.0.1", port: 80 },
      { address: "2001:db8::1", port: 8080 },
      { address: "evil.example", port: 80 },
      { address: "10.0.0.1", port: 0 },
    ];
    const rendered = render(snapshot({ upstreams: [upstream("web", { endpoints })] }));
    const [block] = findDirectives(rendered.directives, "upstream");
    assert.deepEqual(block?.args, ["shop.web.80"]);
    assert.deepEqual(
      findDirectives(block?.block ?? [], "server").map(({ args }) => args[0]),
      ["10.0.0.1:80", "[2001:db8::1]:8080"],
    );
    assert.ok(rendered.comments.some((comment) => comment.includes("evil.example 80")));
  });

  it("of one Service are told of once where nginx cannot do what several of them ask for", () => {
    const ejection = { failures: 3, baseTime: 1_000, longestTime: 1_000, percent: 50, serverErrors: false };
    const upstreams = [2, 3].map((failures) =>
      upstream("web", { key: `shop/web/80/${failures}`, options: { ejection: { ...ejection, failures } } }),
    );
    const { notes } = render(snapshot({ upstreams: [...upstreams, upstream("api", { options: { ejection } })] }));
    assert.deepEqual(notes.map(({ place }) => place).sort(), ["Service shop/api:80", "Service shop/web:80"]);
  });

  it("are left out when they have no endpoint, and their locations answer 503", () => {
    const rendered = render(
      snapshot({ hosts: [host("a.example", route("/", "web"))], upstreams: [upstream("web", { endpoints: [] })] }),
    );
    assert.deepEqual(findDirectives(rendered.directives, "upstream"), []);
    assert.deepEqual(locationsOf(serverNamed(rendered, "a.example")), ["/ → 503"]);
  });

  it("of an ExternalName Service get the client's Host, and their own name in TLS where they speak it", () => {
    const rendered = render(
      snapshot({
        hosts: [host("a.example", route("/", "web"))],
        upstreams: [upstream("web", { externalName: "api.vendor.example", protocol: "https" })],
      }),
    );
    assert.deepEqual(argsOf(rendered, "set"), []);
    assert.deepEqual(argsOf(rendered, "proxy_ssl_name"), [["api.vendor.example"]]);
    assert.deepEqual(argsOf(rendered, "proxy_pass"), [["https://shop.web.80"]]);
  });

  it("that speak gRPC are spoken to by nginx's module for it, with its timeouts", () => {
    const rendered = render(
      snapshot({ hosts: [host("a.example", route("/", "web"))], upstreams: [upstream("web", { protocol: "grpc" })] }),
    );
    assert.deepEqual(argsOf(rendered, "grpc_pass"), [["grpc://shop.web.80"]]);
    assert.deepEqual(findDirectives([serverNamed(rendered, "a.example")], "proxy_read_timeout"), []);
    assert.equal(findDirectives([serverNamed(rendered, "a.example")], "grpc_read_timeout").length, 1);
  });

  it("that speak gRPC have clients to whom errors are told by a status of gRPC, and nobody else has such pages", () => {
    const hosts = [host("a.example", route("/", "web"))];
    const pages = (protocol: "grpc" | "http"): number => {
      const rendered = render(snapshot({ hosts, upstreams: [upstream("web", { protocol })] }));
      return findDirectives(rendered.directives, "location").filter(({ args }) => args[1] === "//sluice/grpc").length;
    };
    // One a server.
    assert.equal(pages("grpc"), 2);
    assert.equal(pages("http"), 0);
  });

  it("that want PROXY headers get none, which is told where they are reached", () => {
    const hosts = [host("a.example", route("/", "web"))];
    const rendered = render(snapshot({ hosts, upstreams: [upstream("web", { options: { sendProxy: 2 } })] }));
    assert.deepEqual(
      rendered.notes.map(({ ingress, place }) => [ingress, place]),
      [["shop/web", "a.example/"]],
    );
    assert.match(
      rendered.notes[0]?.reason ?? "",
      /no header of the PROXY protocol: nginx sends one for TCP services alone/,
    );
    assert.ok(rendered.comments.some((comment) => comment.includes("no header of the PROXY protocol")));
  });

  it("choose among their endpoints as Sluice does, where nginx can, and say where it cannot", () => {
    const ejection = { failures: 5, baseTime: 1, longestTime: 1, percent: 50, serverErrors: false };
    const probe = { kind: "grpc", service: "" } as const;
    const check = { probe, interval: 1, timeout: 1, healthyThreshold: 1, unhealthyThreshold: 1, port: null };
    const rows: readonly (readonly [UpstreamOptions, string, RegExp | null])[] = [
      [{}, "", null],
      [{ algorithm: { kind: "least_conn" } }, "zone shop.web.80 512k; least_conn", null],
      [{ algorithm: { kind: "ewma" } }, "zone shop.web.80 512k; random two least_conn", /ewma is Lua/],
      [{ algorithm: { kind: "hash", key: "$host", subset: null } }, "hash $host consistent", null],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
      [{ algorithm: { kind: "hash", key: "a$host", subset: 3 } }, "hash a${host} consistent", /no subsets/],
      [{ slowStart: 1 }, "", /slow_start is part of NGINX Plus/],
      [{ ejection }, "", /max_fails counts in each worker/],
      [{ healthCheck: check }, "", /health_check is part of NGINX Plus/],
    ];
    for (const [options, directives, note] of rows) {
      const rendered = render(snapshot({ upstreams: [upstream("web", { options })] }));
      const [block] = findDirectives(rendered.directives, "upstream");
      const lines = (block?.block ?? []).map(({ name, args }) => [name, ...args].join(" "));
      const first = lines.findIndex((each) => each.startsWith("server "));
      assert.equal(lines.slice(0, first).join("; "), directives);
      assert.equal(rendered.notes.length, note === null ? 0 : 1);
      if (note !== null) assert.match(rendered.notes[0]?.reason ?? "", note);
    }
  });

  it("have names without any character that means something in a URL, different for different keys", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 20 }),
        fc.string({ unit: "grapheme", maxLength: 20 }),
        (a, b) => {
          assert.match(upstreamName(a), /^[a-z0-9._-]*$/);
          assert.equal(upstreamName(a) === upstreamName(b), a === b);
        },
      ),
    );
    assert.notEqual(upstreamName("a-b/c/80"), upstreamName("a/b-c/80"));
    assert.notEqual(upstreamName("Shop/web/80"), upstreamName("shop/web/80"));
  });

  it("know an address from a name", () => {
    for (const address of ["10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"]) {
      assert.notEqual(endpointAddress({ address, port: 80 }), null, address);
    }
    for (const address of [
      "",
      "10.1",
      "0x7f000001",
      "localhost",
      "fe80::1%eth0",
      "10.0.0.1;",
      "[::1]",
      "unix:/x",
      "10.0.0.1 down",
    ]) {
      assert.equal(endpointAddress({ address, port: 80 }), null, address);
    }
  });
});
