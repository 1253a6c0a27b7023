import assert from "node:assert/strict";
import { readH2load, readWrk, wrkScript } from "./generators.ts";

describe("the benchmark's generators", () => {
  it("read wrk's totals, with errors and the 99th percentile in milliseconds", () => {
    const said = readWrk("Running 1s test\n  2 requests in 1.00s\ntotals 900 180000 1500000 3 2500\n");
    assert.deepEqual(said, { requests: 900, bytes: 180_000, seconds: 1.5, errors: 3, p99: 2.5 });
  });

  it("refuse what wrk says when it did not come to its end", () => {
    assert.throws(() => readWrk("unable to connect"), /wrk says "unable to connect"/);
  });

  it("count answers of other statuses than 2xx as failed requests of h2load", () => {
    const output = `finished in 1.00s
requests: 100 total, 110 started, 100 done, 90 succeeded, 10 failed, 0 errored, 0 timeout
status codes: 60 2xx, 0 3xx, 30 4xx, 10 5xx
`;
    assert.deepEqual(readH2load(output), { done: 100, failed: 40 });
  });

  it("write a script for wrk that asks with GET, or sends bytes with POST", () => {
    const requests = [{ host: "a.example.com", target: "/x" }];
    assert.match(wrkScript(requests, 0), /wrk\.format\("GET", "\/x", \{ \["Host"\] = "a\.example\.com" \}\)/);
    assert.match(wrkScript(requests, 1024), /wrk\.format\("POST", "\/x", .*string\.rep\("u", 1024\)\)/);
  });
});
