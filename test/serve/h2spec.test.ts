/**
 * h2spec, the conformance suite of HTTP/2 and HPACK, its strict cases too, against a data plane of ours. It is built once by Go
 * from the version that test/h2spec pins; where it is not there and nothing says that everything must run, it is skipped.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheRoot, findGo } from "../cluster/binaries.ts";
import { answering, ok, TestPlane, TestUpstream } from "../support/test-plane.ts";

const sources = fileURLToPath(new URL("../h2spec/", import.meta.url));
const everythingMustRun = process.env.SLUICE_TEST_ALL === "1";

describe("HTTP/2 by h2spec", () => {
  let h2spec = "";
  let plane: TestPlane;
  let upstream: TestUpstream;

  before(async function () {
    this.timeout(300_000);
    const found = await findOrBuild();
    if (found === null) {
      process.stderr.write("    h2spec is not there; with SLUICE_TEST_ALL=1 it is built, by Go\n");
      this.skip();
    }
    h2spec = found;
    upstream = await TestUpstream.start(answering(() => ok("x".repeat(200))));
    plane = await TestPlane.start({ http2PriorKnowledge: true });
    await plane.serve([upstream.port]);
  });
  after(async () => {
    if (h2spec === "") return;
    assert.equal(plane.plane.workerRestarts, 0);
    await plane.stop();
    await upstream.stop();
  });

  it("passes every case over TLS", async function () {
    this.timeout(120_000);
    assertPassed(await run(h2spec, ["--strict", "--tls", "--insecure", "--port", String(plane.plane.ports.https)]));
  });

  it("passes every case by prior knowledge but those of a wrong preface, which is a request of HTTP/1.1 there", async function () {
    this.timeout(120_000);
    const sections = ["generic", "hpack", ...[4, 5, 6, 7, 8].map((section) => `http2/${section}`)];
    assertPassed(await run(h2spec, ["--strict", "--port", String(plane.plane.ports.http), ...sections]));
  });
});

function assertPassed(output: string): void {
  const [, tests, passed] = /^(\d+) tests, (\d+) passed, 0 skipped, 0 failed$/m.exec(output) ?? [];
  assert.ok(passed !== undefined && passed === tests && Number(tests) > 140, output.slice(-10_000));
}

/** The program; null when it is not there and need not be. */
async function findOrBuild(): Promise<string | null> {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(sources, file)));
  const program = join(cacheRoot(), `h2spec-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return program;
  const go = findGo();
  if (!everythingMustRun) return null;
  if (go === null) throw new Error("SLUICE_TEST_ALL=1 needs Go 1.26 or newer, to build h2spec (https://go.dev/dl)");
  // Renamed when it is complete: a build that was cut short is never taken for a whole one.
  await mkdir(cacheRoot(), { recursive: true });
  const building = await mkdtemp(`${program}.building-`);
  try {
    await run(go, ["build", "-trimpath", "-o", `${building}/`, "tool"], { CGO_ENABLED: "0" });
    await rename(join(building, "h2spec"), program);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return program;
}

/** What the program says; its exit code is in what it says, too. */
function run(program: string, args: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const options = { cwd: sources, env: { ...process.env, ...environment } };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else if (error !== null && stdout === "") reject(new Error(stderr));
      else resolve(stdout);
    });
  });
}
