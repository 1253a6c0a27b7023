import assert from "node:assert/strict";
import { read } from "./read.ts";

function options(values: Readonly<Record<string, string>>) {
  return read(Object.fromEntries(Object.entries(values).map(([name, text]) => [`sluice.dev/${name}`, text])))
    .upstreamOptions;
}

describe("the health of endpoints", () => {
  it("is not asked for, nor are new ones spared, unless an Ingress says so", () => {
    assert.deepEqual(options({}), {});
    assert.deepEqual(options({ "outlier-ejection": "0", "outlier-ejection-time": "10s" }), {});
    assert.deepEqual(options({ "health-check-interval": "10s" }), {});
  });

  it("is no business of an annotation that does nothing alone, which is told", () => {
    const told = (values: Readonly<Record<string, string>>) =>
      read(Object.fromEntries(Object.entries(values).map(([name, text]) => [`sluice.dev/${name}`, text]))).problems.map(
        ({ code, field, message }) => `${code} ${field}: ${message}`,
      );
    assert.deepEqual(told({ "outlier-ejection": "0", "outlier-ejection-5xx": "true" }), [
      'ConflictingAnnotation metadata.annotations[sluice.dev/outlier-ejection-5xx]: "true" does nothing without sluice.dev/outlier-ejection; set that, too, or remove it',
    ]);
    assert.deepEqual(told({ "health-check-interval": "5s" }), [
      'ConflictingAnnotation metadata.annotations[sluice.dev/health-check-interval]: "5s" does nothing without sluice.dev/health-check-path or sluice.dev/health-check-grpc-service; set that, too, or remove it',
    ]);
    assert.deepEqual(told({ "health-check-path": "/", "health-check-grpc-service": "" }), [
      'ConflictingAnnotation metadata.annotations[sluice.dev/health-check-grpc-service]: "" is not used, for sluice.dev/health-check-path is set, too, and counts; remove one of them',
    ]);
    assert.deepEqual(told({ "outlier-ejection-5xx": "false", "outlier-ejection-percent": "50" }), []);
    assert.deepEqual(
      told({ "health-check-grpc-service": "", "health-check-interval": "5s", "outlier-ejection": "3" }),
      [],
    );
    // It is the wrong one that is to be corrected first.
    assert.deepEqual(
      told({ "health-check-path": "healthz", "health-check-interval": "5s" }).map((line) => line.split(" ")[0]),
      ["InvalidAnnotation"],
    );
  });

  it("is asked for by a target without a fragment, which no server is sent", () => {
    assert.deepEqual(options({ "health-check-path": "/a#b" }), {});
    assert.notDeepEqual(options({ "health-check-path": "/a?b" }), {});
  });

  it("has usual values for what an Ingress does not say", () => {
    assert.deepEqual(options({ "outlier-ejection": "5" }).ejection, {
      failures: 5,
      baseTime: 30_000,
      longestTime: 300_000,
      percent: 50,
      serverErrors: false,
    });
    assert.deepEqual(options({ "health-check-path": "/healthz" }).healthCheck, {
      probe: { kind: "http", path: "/healthz", statuses: [[200, 399]] },
      interval: 10_000,
      timeout: 2_000,
      healthyThreshold: 2,
      unhealthyThreshold: 3,
      port: null,
    });
    assert.deepEqual(options({ "slow-start": "1m" }), { slowStart: 60_000 });
  });

  it("is never ejected for longer than the longest time, which is no shorter than the first", () => {
    const { ejection } = options({ "outlier-ejection": "1", "outlier-ejection-time": "10m" });
    assert.deepEqual([ejection?.baseTime, ejection?.longestTime], [600_000, 600_000]);
  });

  it("takes no time that a timer could not hold, or for which a check would keep others waiting", () => {
    const times = { "outlier-ejection-time": "25d", "outlier-ejection-max-time": "25d" };
    const checks = { "health-check-interval": "25d", "health-check-timeout": "61s" };
    const wrong = { "outlier-ejection": "1", ...times, "health-check-path": "/", ...checks };
    assert.deepEqual(options(wrong), options({ "outlier-ejection": "1", "health-check-path": "/" }));
    const longest = { "outlier-ejection-time": "1d", "health-check-interval": "1d", "health-check-timeout": "60s" };
    const { ejection, healthCheck } = options({ ...wrong, ...longest });
    assert.deepEqual(
      [ejection?.baseTime, healthCheck?.interval, healthCheck?.timeout],
      [86_400_000, 86_400_000, 60_000],
    );
  });

  it("is asked for by a path, by statuses and ranges of them, or by a gRPC service, of which a path goes first", () => {
    const statuses = (text: string) => {
      const probe = options({ "health-check-path": "/", "health-check-expected-status": text }).healthCheck?.probe;
      return probe?.kind === "http" ? probe.statuses : null;
    };
    assert.deepEqual(statuses("204"), [[204, 204]]);
    assert.deepEqual(statuses("200-299, 404"), [
      [200, 299],
      [404, 404],
    ]);
    for (const bad of ["299-200", "99", "600", "200-", ""]) assert.deepEqual(statuses(bad), [[200, 399]], bad);
    const grpc = { "health-check-grpc-service": "shop.Cart", "health-check-port": "9000" };
    assert.deepEqual(options(grpc).healthCheck?.probe, { kind: "grpc", service: "shop.Cart" });
    assert.equal(options(grpc).healthCheck?.port, 9_000);
    assert.deepEqual(options({ "health-check-grpc-service": "" }).healthCheck?.probe, { kind: "grpc", service: "" });
    assert.equal(options({ ...grpc, "health-check-path": "/" }).healthCheck?.probe.kind, "http");
  });
});
