/**
 * When all local ports for an endpoint are in use (EADDRNOTAVAIL), which happens to a busy proxy before a slow upstream, it is
 * our shortage: endpoints were counted as failing, left out and marked unhealthy for it.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import type { OnePortReport } from "../support/one-port.ts";

const run = promisify(execFile);
const ownNetwork = ["--net", "--map-root-user"];

describe("a machine without a port left for an endpoint", function () {
  this.timeout(60_000);
  let report: OnePortReport;

  before(async function () {
    const may = spawnSync("unshare", [...ownNetwork, "true"]).status === 0;
    if (!may && process.env.SLUICE_TEST_ALL !== "1") this.skip();
    const script = new URL("../support/one-port.ts", import.meta.url).pathname;
    const inside = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", process.execPath, script];
    const { stdout } = await run("unshare", [...ownNetwork, ...inside], { timeout: 50_000 });
    report = JSON.parse(stdout);
  });

  it("sends a request to another endpoint, and answers 502 only where there is none for any", () => {
    const [none, ...some] = report.requests;
    assert.deepEqual(none, { status: 502, body: none?.body, tries: 2 });
    assert.deepEqual(
      some.map(({ status, body }) => [status, body]),
      [
        [200, "two"],
        [200, "two"],
      ],
    );
    assert.ok(
      some.some(({ tries }) => tries === 2),
      "one began with the endpoint for which there was no port",
    );
  });

  it("blames no endpoint, and says what is missing", () => {
    assert.equal(report.ejected, 0);
    assert.match(report.events, /"kind":"no-port","detail":"127\.0\.0\.1:\d+: EADDRNOTAVAIL"/);
    assert.doesNotMatch(report.events, /gets none for a while/);
  });

  it("connects a TCP client to another endpoint, and counts no failure of the first", () => {
    assert.deepEqual(report.stream, { text: "second", status: 200, tries: 2, failed: 0 });
    assert.match(report.events, /no socket to an endpoint for a client.*EADDRNOTAVAIL/);
  });

  it("takes no endpoint for ill that it could not ask", () => {
    assert.equal(report.check, "unasked");
  });
});
