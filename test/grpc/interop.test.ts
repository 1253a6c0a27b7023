/**
 * gRPC end to end, by the interoperability tests that gRPC's implementations check each other by: the client and the server
 * are grpc-go's, and Sluice stands between them.
 */
import assert from "node:assert/strict";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { findGo } from "../cluster/binaries.ts";
import { closedPort, oneRoute, TestPlane } from "../support/test-plane.ts";
import { buildPeer, callPeer, GrpcServer } from "./peer.ts";

const cases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "health_check",
  "health_watch",
  "many_at_once",
];

function routeTo(port: number, protocol: "grpc" | "grpcs"): Snapshot {
  const snapshot = oneRoute([port]);
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol })) };
}

describe("gRPC between a client and a server of grpc-go", () => {
  let program = "";
  let plane: TestPlane;

  before(async function () {
    const go = findGo();
    if (go === null) {
      if (process.env.SLUICE_TEST_ALL === "1") throw new Error("SLUICE_TEST_ALL=1 needs Go (https://go.dev/dl)");
      process.stderr.write("gRPC's interoperability tests are skipped: they need Go (https://go.dev/dl)\n");
      this.skip();
    }
    this.timeout(900_000);
    program = await buildPeer(go);
    plane = await TestPlane.start({ http2PriorKnowledge: true });
  });
  after(async () => {
    await plane?.stop();
  });

  const ways = [
    ["grpc", true, "over TLS, to an upstream without"],
    ["grpcs", true, "over TLS on both sides"],
    ["grpc", false, "without TLS, by prior knowledge"],
  ] as const;
  for (const [protocol, overTls, how] of ways) {
    it(`works ${how}`, async () => {
      const server = await GrpcServer.start(program, protocol === "grpcs");
      try {
        await plane.publish(routeTo(server.port, protocol));
        const port = overTls ? plane.plane.ports.https : plane.plane.ports.http;
        assert.deepEqual(await callPeer(program, port, overTls, cases), cases);
      } finally {
        await server.stop();
      }
    }).timeout(90_000);
  }

  it("tells of an upstream that is gone by a status of gRPC", async () => {
    await plane.publish(routeTo(await closedPort(), "grpc"));
    assert.deepEqual(await callPeer(program, plane.plane.ports.https, true, ["unavailable"]), ["unavailable"]);
  });
});
