import assert from "node:assert/strict";
import { renderPolicy } from "../../src/features/registry.ts";
import { answer, read } from "./read.ts";

const context = { hostHasTls: false, declaredPath: "/", regex: null, schemeVariable: "$scheme" };
const status = (annotations: Readonly<Record<string, string>>, clientAddress: string) =>
  answer(annotations, { clientAddress }).reply?.status ?? null;

describe("source ranges", () => {
  it("lets in only who is on the allow list, under either of its names", () => {
    for (const name of ["allowlist-source-range", "whitelist-source-range"]) {
      const annotations = { [name]: "10.0.0.0/8, 2001:db8::/32" };
      assert.equal(status(annotations, "10.1.2.3"), null);
      assert.equal(status(annotations, "::ffff:10.1.2.3"), null);
      assert.equal(status(annotations, "2001:db8::7"), null);
      assert.equal(status(annotations, "192.0.2.1"), 403);
      assert.equal(status(annotations, "2001:db9::7"), 403);
    }
  });

  it("keeps out who is on the deny list, allowed or not", () => {
    const annotations = { "denylist-source-range": "10.9.0.0/16", "allowlist-source-range": "10.0.0.0/8" };
    assert.equal(status(annotations, "10.8.0.1"), null);
    assert.equal(status(annotations, "10.9.0.1"), 403);
    assert.equal(status({ "denylist-source-range": "10.9.0.0/16" }, "192.0.2.1"), null);
  });

  it("keeps out a client whose address cannot be read, whatever the lists say", () => {
    assert.equal(status({ "denylist-source-range": "10.9.0.0/16" }, "unknown"), 403);
    assert.equal(status({ "allowlist-source-range": "0.0.0.0/0, ::/0" }, ""), 403);
  });

  it("takes cert-manager's list of everybody", () => {
    const annotations = { "whitelist-source-range": "0.0.0.0/0,::/0" };
    assert.equal(status(annotations, "192.0.2.1"), null);
    assert.equal(status(annotations, "2001:db8::1"), null);
  });

  it("is deny and allow in nginx, deny first, and all others denied only where there is an allow list", () => {
    const render = (annotations: Readonly<Record<string, string>>) =>
      renderPolicy(read(annotations).policy, context)
        .directives.filter(({ name }) => name === "deny" || name === "allow")
        .map(({ name, args }) => `${name} ${String(args[0])}`);
    assert.deepEqual(render({ "denylist-source-range": "10.9.0.0/16", "allowlist-source-range": "10.1.2.3/8, ::1" }), [
      "deny 10.9.0.0/16",
      "allow 10.0.0.0/8",
      "allow ::1/128",
      "deny all",
    ]);
    assert.deepEqual(render({ "denylist-source-range": "10.9.0.0/16" }), ["deny 10.9.0.0/16"]);
    assert.deepEqual(render({}), []);
  });
});

describe("proxy-body-size", () => {
  it("answers 413 to an announced body that is larger, and to no other", () => {
    const annotations = { "proxy-body-size": "1k" };
    const sent = (contentLength: number) =>
      answer(annotations, { method: "POST", contentLength }).reply?.status ?? null;
    assert.deepEqual([0, 1024, -1].map(sent), [null, null, null]);
    assert.deepEqual([1025, Number.MAX_SAFE_INTEGER].map(sent), [413, 413]);
  });

  it("takes the setting's limit by default, and none for 0", () => {
    assert.equal(answer({}, { contentLength: 1024 ** 2 + 1 }).reply?.status, 413);
    assert.equal(answer({ "proxy-body-size": "0" }, { contentLength: 2 ** 50 }).reply, null);
  });

  it("keeps the default when its value is invalid", () => {
    assert.equal(read({ "proxy-body-size": "lots" }).policy.bodySize?.limit, 1024 ** 2);
  });
});

describe("what the data plane and translate read", () => {
  it("is the timeouts in milliseconds", () => {
    const annotations = { "proxy-connect-timeout": "10", "proxy-read-timeout": "1h", "proxy-send-timeout": "1500ms" };
    assert.deepEqual(read(annotations).policy.timeouts, { connect: 10_000, read: 3_600_000, send: 1500 });
  });

  it("is use-regex and the protocol of the upstream", () => {
    const { useRegex, backendProtocol, policy } = read({ "use-regex": "true", "backend-protocol": "https" });
    assert.equal(useRegex, true);
    assert.equal(backendProtocol, "https");
    assert.deepEqual(policy, read({}).policy);
  });

  it("is HTTP/2 to the upstream for gRPC", () => {
    assert.equal(read({ "backend-protocol": "GRPC" }).backendProtocol, "grpc");
    assert.equal(read({ "backend-protocol": "grpcs" }).backendProtocol, "grpcs");
  });

  it("closes a route whose upstream speaks a protocol that Sluice does not, or one that nobody knows", () => {
    for (const protocol of ["FCGI", "auto_http", "HTPS", ""]) {
      assert.ok(read({ "backend-protocol": protocol }).closed !== null, protocol);
    }
  });

  it("is written into nginx as times and sizes of its own", () => {
    const { directives } = renderPolicy(
      read({ "proxy-body-size": "1536", "proxy-send-timeout": "1500ms" }).policy,
      context,
    );
    assert.deepEqual(
      directives.map(({ name, args }) => `${name} ${String(args[0])}`),
      ["client_max_body_size 1536", "proxy_connect_timeout 5s", "proxy_read_timeout 60s", "proxy_send_timeout 1500ms"],
    );
    const unlimited = renderPolicy(read({ "proxy-body-size": "0" }).policy, context).directives;
    assert.deepEqual(unlimited[0], { name: "client_max_body_size", args: ["0"] });
  });
});
