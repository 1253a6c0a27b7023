import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { makeCertificate } from "../support/pki.ts";
import { runSluice } from "../support/sluice-process.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";
import { ingressManifest, serviceManifest, shopManifests, sliceManifest } from "./manifests.ts";

const run = promisify(execFile);
const nginx = nginxForOracle();

describe("sluice render", () => {
  let directory: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(() => directory.remove());

  function tlsManifests(): string {
    const { cert, key } = makeCertificate({ names: ["shop.example"], keyType: "rsa" });
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    return `${shopManifests([8001]).replace("spec:\n", "spec:\n  tls: [{ hosts: [shop.example], secretName: tls }]\n")}---
apiVersion: v1
kind: Secret
metadata: { name: tls, namespace: demo }
type: kubernetes.io/tls
data: { tls.crt: ${base64(cert)}, tls.key: ${base64(key)} }
`;
  }

  it("prints nginx.conf alone on standard output", async () => {
    await directory.write("shop.yaml", shopManifests([8001, 8002]));
    const { code, stdout, stderr } = await runSluice(["render", "--manifests", directory.path]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.match(stdout, /^# Written by `sluice render`/);
    for (const text of ["server_name shop.example;", "127.0.0.1:8001", "127.0.0.1:8002", "listen "]) {
      assert.ok(stdout.includes(text), text);
    }
    assert.doesNotMatch(stdout, /PRIVATE KEY/);
  });

  it("prints the same bytes whatever the order of objects and files", async () => {
    const objects = [ingressManifest(), serviceManifest, sliceManifest(8001), sliceManifest(8002)];
    const one = await runSluice(["render", "--manifests", "-"], { input: objects.join("---\n") });
    const other = await runSluice(["render", "--manifests", "-"], { input: objects.reverse().join("---\n") });
    assert.equal(one.code, 0);
    assert.equal(one.stdout, other.stdout);
  });

  it("tells problems with file and object on standard error, and fails for them only when strict", async () => {
    await directory.write("shop.yaml", ingressManifest());
    for (const [flags, code] of [
      [[], 0],
      [["--strict"], 1],
      [["--strict=false"], 0],
    ] as const) {
      const finished = await runSluice(["render", "--manifests", directory.path, ...flags]);
      assert.match(finished.stderr, /^\S*shop\.yaml:1: Ingress demo\/shop: .*"demo\/web".* \[ServiceNotFound\]\n$/);
      assert.match(finished.stdout, /server_name shop\.example;/);
      assert.equal(finished.code, code);
    }
  });

  it("exits with 0 when strict and there is no problem", async () => {
    const finished = await runSluice(["render", "--strict", "--manifests", "-"], { input: shopManifests([8001]) });
    assert.deepEqual([finished.code, finished.stderr], [0, ""]);
  });

  it("tells a file that cannot be parsed, and renders the others", async () => {
    await directory.write("shop.yaml", shopManifests([8001]));
    await directory.write("broken.yaml", "kind: [\n");
    const finished = await runSluice(["render", "--strict", "--manifests", directory.path]);
    assert.match(finished.stderr, /broken\.yaml:\d+: .*\[FileUnreadable\]/);
    assert.match(finished.stdout, /server_name shop\.example;/);
    assert.equal(finished.code, 1);
  });

  it("renders one host or one Ingress alone, and says when there is none", async () => {
    const manifests = `${shopManifests([8001])}---\n${ingressManifest("/", "other.example").replace("name: shop", "name: other")}`;
    const render = (...flags: string[]) => runSluice(["render", "--manifests", "-", ...flags], { input: manifests });
    const byHost = await render("--host", "other.example");
    assert.match(byHost.stdout, /server_name other\.example;/);
    assert.doesNotMatch(byHost.stdout, /server_name shop\.example;/);
    const byIngress = await render("--ingress", "demo/shop");
    assert.match(byIngress.stdout, /server_name shop\.example;/);
    assert.doesNotMatch(byIngress.stdout, /server_name other\.example;/);
    const none = await render("--host", "none.example");
    assert.deepEqual([none.code, none.stdout], [1, ""]);
    assert.match(none.stderr, /sluice: no Ingress serves the host none\.example/);
    const noIngress = await render("--ingress", "demo/none");
    assert.deepEqual([noIngress.code, noIngress.stdout], [1, ""]);
    assert.match(noIngress.stderr, /sluice: the Ingress demo\/none is not served/);
    const neither = await render("--ingress", "demo/shop", "--host", "other.example");
    assert.deepEqual([neither.code, neither.stdout], [1, ""]);
    assert.match(neither.stderr, /no rule of it serves the host other\.example/);
  });

  it("writes nginx.conf, certificates and keys for their owner alone", async () => {
    const output = join(directory.path, "out", "nginx");
    const finished = await runSluice(["render", "--manifests", "-", "--output", output], { input: tlsManifests() });
    assert.deepEqual([finished.code, finished.stdout], [0, ""]);
    const names = (await readdir(output, { recursive: true })).sort();
    assert.deepEqual(
      names.map((name) => name.replace(/[0-9a-f]{64}/, "FINGERPRINT")),
      [
        "certs",
        "certs/FINGERPRINT.crt",
        "certs/FINGERPRINT.key",
        "certs/self-signed.crt",
        "certs/self-signed.key",
        "nginx.conf",
      ],
    );
    for (const name of names) {
      const { mode } = await stat(join(output, name));
      assert.equal(mode & 0o777, name === "certs" ? 0o700 : 0o600, name);
    }
  });

  it("replaces what it wrote before, a key that others could read included", async () => {
    await mkdir(join(directory.path, "certs"));
    await writeFile(join(directory.path, "certs", "self-signed.key"), "old", { mode: 0o644 });
    await writeFile(join(directory.path, "nginx.conf"), "old", { mode: 0o644 });
    const args = ["render", "--manifests", "-", "--output", directory.path];
    assert.equal((await runSluice(args, { input: tlsManifests() })).code, 0);
    for (const name of ["nginx.conf", "certs/self-signed.key"]) {
      const path = join(directory.path, name);
      assert.notEqual(await readFile(path, "utf8"), "old");
      assert.equal((await stat(path)).mode & 0o777, 0o600);
    }
  });

  it("exits with 1 and the reason when the directory cannot be written", async () => {
    const file = await directory.write("file", "");
    const finished = await runSluice(["render", "--manifests", "-", "--output", join(file, "x")], { input: "" });
    assert.equal(finished.code, 1);
    assert.equal(
      finished.stderr,
      `sluice: cannot write to --output ${join(file, "x")}: a part of the path is a file (ENOTDIR); name another directory\n`,
    );
  });

  it("gives up a directory that can never be made, where Node's own recursion goes on for ever", async function () {
    if (process.platform !== "linux") return this.skip();
    const finished = await runSluice(["render", "--manifests", "-", "--output", "/proc/x/y"], { input: "" });
    assert.equal(finished.code, 1);
    assert.match(finished.stderr, /^sluice: cannot write to --output \/proc\/x\/y: no directory can be made there/);
  });

  it("is no failure when the reader of its output goes away", async () => {
    const many = Array.from({ length: 2000 }, (_, i) =>
      ingressManifest("/", `h${i}.example`).replace("name: shop", `name: i${i}`),
    );
    const file = await directory.write("many.yaml", [...many, serviceManifest, sliceManifest(8001)].join("---\n"));
    const command = `"$0" "$1" render --manifests "$2" | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const { stdout, stderr } = await run("bash", ["-c", command, process.execPath, main, file]);
    assert.match(stdout, /^# Written by .*\n0\n$/);
    assert.equal(stderr, "");
  });

  it("writes what a stock nginx accepts", async function () {
    if (nginx === null) return this.skip();
    const args = ["render", "--manifests", "-", "--output", directory.path];
    assert.equal((await runSluice(args, { input: tlsManifests() })).code, 0);
    const { stderr } = await run(nginx, ["-t", "-p", directory.path, "-c", "nginx.conf"]);
    assert.match(stderr, /test is successful/);
  });
});
