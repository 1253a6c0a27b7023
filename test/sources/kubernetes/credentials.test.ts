import assert from "node:assert/strict";
import { readFile, utimes } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Credentials } from "../../../src/sources/kubernetes/credentials.ts";
import { inCluster } from "../../../src/sources/kubernetes/in-cluster.ts";
import { fromKubeconfig, usualKubeconfig } from "../../../src/sources/kubernetes/kubeconfig.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/temporary.ts";

const pod = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("the credentials of a Pod", () => {
  let directory: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory({ token: "one\n", "ca.crt": "authority", namespace: "ingress" });
  });

  afterEach(() => directory.remove());

  it("are the token and the authority that its files hold at the moment", async () => {
    const credentials = inCluster(pod, directory.path);
    assert.equal(credentials?.namespace, "ingress");
    const access = await credentials?.access();
    assert.equal(access?.server.href, "https://10.96.0.1/");
    assert.deepEqual([access?.headers, access?.tls], [{ Authorization: "Bearer one" }, { ca: "authority" }]);
    await directory.write("token", "two");
    await directory.write("ca.crt", "another");
    const later = await credentials?.access();
    assert.deepEqual([later?.headers, later?.tls], [{ Authorization: "Bearer two" }, { ca: "another" }]);
  });

  it("may have an IPv6 address", async () => {
    const access = await inCluster({ ...pod, KUBERNETES_SERVICE_HOST: "fd00::1" }, directory.path)?.access();
    assert.equal(access?.server.host, "[fd00::1]");
  });

  it("do not exist outside of one", async () => {
    assert.equal(inCluster({}, directory.path), null);
    assert.equal(inCluster(pod, join(directory.path, "nothing")), null);
  });
});

describe("a kubeconfig", () => {
  let directory: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(() => directory.remove());

  function config(parts: {
    readonly users?: readonly unknown[];
    readonly clusters?: readonly unknown[];
    readonly contexts?: readonly unknown[];
    readonly current?: string;
  }): string {
    const cluster = {
      name: "local",
      cluster: { server: "https://127.0.0.1:6443", "certificate-authority-data": btoa("authority") },
    };
    const context = { name: "main", context: { cluster: "local", user: "me", namespace: "shop" } };
    return JSON.stringify({
      clusters: parts.clusters ?? [cluster],
      users: parts.users ?? [{ name: "me", user: { token: "secret" } }],
      contexts: parts.contexts ?? [context],
      "current-context": parts.current ?? "main",
    });
  }

  async function open(text: string, context: string | null = null): Promise<Credentials> {
    const file = await directory.write("config", text);
    const credentials = await fromKubeconfig({ files: [file], context });
    assert.ok(credentials !== null);
    return credentials;
  }

  it("is looked for where kubectl looks", () => {
    assert.deepEqual(usualKubeconfig({ KUBECONFIG: "/a::/b", HOME: "/home/me" }), ["/a", "/b"]);
    assert.deepEqual(usualKubeconfig({ HOME: "/home/me" }), ["/home/me/.kube/config"]);
    assert.deepEqual(usualKubeconfig({}), []);
  });

  it("gives the server, the authority and the token of its current context", async () => {
    const credentials = await open(config({}));
    const { server, headers, tls } = await credentials.access();
    assert.equal(server.href, "https://127.0.0.1:6443/");
    assert.deepEqual(headers, { Authorization: "Bearer secret" });
    assert.deepEqual({ ...tls, ca: String(tls.ca) }, { ca: "authority" });
    assert.equal(credentials.namespace, "shop");
  });

  it("gives client certificates, the name to expect, and whether to verify at all", async () => {
    await directory.write("me.crt", "certificate");
    await directory.write("me.key", "key");
    const clusters = [
      {
        name: "local",
        cluster: { server: "https://h:1/prefix", "insecure-skip-tls-verify": true, "tls-server-name": "kubernetes" },
      },
    ];
    const users = [{ name: "me", user: { "client-certificate": "me.crt", "client-key": "me.key" } }];
    const { server, tls } = await (await open(config({ clusters, users }))).access();
    assert.equal(server.pathname, "/prefix");
    assert.deepEqual(
      { ...tls, cert: String(tls.cert), key: String(tls.key) },
      { cert: "certificate", key: "key", servername: "kubernetes", rejectUnauthorized: false },
    );
  });

  it("works without a user, and over plain HTTP", async () => {
    const contexts = [{ name: "main", context: { cluster: "local" } }];
    const clusters = [{ name: "local", cluster: { server: "http://localhost:8001" } }];
    const { server, headers } = await (await open(config({ contexts, clusters }))).access();
    assert.equal(server.href, "http://localhost:8001/");
    assert.deepEqual(headers, {});
  });

  it("may name another context than the current one", async () => {
    const contexts = ["main", "other"].map((name) => ({ name, context: { cluster: "local", user: name } }));
    const users = ["main", "other"].map((name) => ({ name, user: { token: `of ${name}` } }));
    const credentials = await open(config({ contexts, users }), "other");
    assert.deepEqual((await credentials.access()).headers, { Authorization: "Bearer of other" });
  });

  it("is refused with the contexts that there are when the one named is not", async () => {
    await assert.rejects(open(config({}), "prod"), /has no context "prod"; its contexts are: main/);
    await assert.rejects(open(config({ current: "" })), /has no current context; its contexts are: main/);
    await assert.rejects(open(config({ clusters: [] })), /names the cluster "local", which is not there/);
  });

  it("may be several files, of which the first that names something counts", async () => {
    const first = await directory.write("a", config({ users: [], current: "" }));
    const second = await directory.write("b", config({ users: [{ name: "me", user: { token: "second" } }] }));
    const third = await directory.write(
      "c",
      config({ users: [{ name: "me", user: { token: "third" } }], current: "none" }),
    );
    const files = [first, join(directory.path, "missing"), second, third];
    const credentials = await fromKubeconfig({ files, context: null });
    assert.deepEqual((await credentials?.access())?.headers, { Authorization: "Bearer second" });
    assert.equal(await fromKubeconfig({ files: [join(directory.path, "missing")], context: null }), null);
  });

  it("is read again when the file changes", async () => {
    const credentials = await open(config({}));
    await credentials.access();
    const file = await directory.write("config", config({ users: [{ name: "me", user: { token: "new" } }] }));
    await utimes(file, new Date(), new Date(Date.now() + 5000));
    assert.deepEqual((await credentials.access()).headers, { Authorization: "Bearer new" });
  });

  it("gives the token that a tokenFile holds, anew when the server refuses it", async () => {
    await directory.write("token", "one\n");
    const credentials = await open(config({ users: [{ name: "me", user: { tokenFile: "token", token: "never" } }] }));
    assert.deepEqual((await credentials.access()).headers, { Authorization: "Bearer one" });
    await directory.write("token", "two\n");
    credentials.renew();
    assert.deepEqual((await credentials.access()).headers, { Authorization: "Bearer two" });
  });

  it("asks an exec plugin once for all who ask at a time, and again when the server refuses what it gave", async () => {
    const calls = join(directory.path, "calls");
    const plugin = await directory.write(
      "bin/plugin.mjs",
      `import { appendFileSync } from "node:fs";
       appendFileSync(${JSON.stringify(calls)}, process.env.KUBERNETES_EXEC_INFO + process.env.EXTRA + "\\n");
       const status = { token: "from " + process.argv[2], expirationTimestamp: "2049-01-01T00:00:00Z" };
       console.log(JSON.stringify({ kind: "ExecCredential", status }));`,
    );
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: process.execPath,
      args: [plugin, "plugin"],
      env: [{ name: "EXTRA", value: "extra" }],
    };
    const credentials = await open(config({ users: [{ name: "me", user: { exec } }] }));
    const all = await Promise.all([credentials.access(), credentials.access(), credentials.access()]);
    for (const { headers } of all) assert.deepEqual(headers, { Authorization: "Bearer from plugin" });
    await credentials.access();
    const information =
      '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}extra\n';
    assert.equal(await readFile(calls, "utf8"), information);
    credentials.renew();
    await credentials.access();
    assert.equal(await readFile(calls, "utf8"), information.repeat(2));
  });

  it("runs an exec plugin that lies beside it, and tells why it fails", async () => {
    const users = (command: string) => [{ name: "me", user: { exec: { apiVersion: "v1", command, args: [] } } }];
    await assert.rejects((await open(config({ users: users("bin/none") }))).access(), (error) => {
      assert.ok(String(error).includes(join(directory.path, "bin/none")), String(error));
      return true;
    });
  });

  it("goes through the proxy that it names", async () => {
    const seen: string[] = [];
    const proxy = createServer((socket) => {
      socket.on("data", (data) => {
        seen.push(data.toString().split("\r\n")[0] ?? "");
        socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      });
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const clusters = [{ name: "local", cluster: { server: "https://api.example:6443", "proxy-url": url } }];
      const credentials = await open(config({ clusters }));
      const { Api } = await import("../../../src/sources/kubernetes/api.ts");
      const { systemClock } = await import("../../../src/sources/kubernetes/clock.ts");
      const api = new Api({ credentials, userAgent: "test", clock: systemClock });
      await assert.rejects(api.call("GET", "/version"), { kind: "unreachable" });
      api.close();
      assert.deepEqual(seen, ["CONNECT api.example:6443 HTTP/1.1"]);
    } finally {
      proxy.close();
    }
  });
});
