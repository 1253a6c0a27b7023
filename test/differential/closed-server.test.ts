/** A server of nginx.conf that is closed because a guard of it cannot be written answers 503, where its pages are gRPC's, too. */
import assert from "node:assert/strict";
import { renderNginx } from "../../src/render/nginx.ts";
import { host, renderSettings, route, snapshot, upstream } from "../render/snapshots.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { get } from "../support/sluice-process.ts";
import { templates } from "../support/templates.ts";

describe("a server that nginx.conf closes", () => {
  const nginx = nginxForOracle();
  for (const protocol of ["http", "grpc"] as const) {
    const what = `answers 503 where an upstream speaks ${protocol}`;
    // Symptom: 500, for its pages are closed, too: each was answered by the next.
    (nginx === null ? it.skip : it)(`${what}${nginx === null ? `: ${needsNginx}` : ""}`, async () => {
      const [httpPort = 0, httpsPort = 0] = await freePorts(2);
      const clientAuth = {
        verify: "on",
        authority: "of nobody",
        depth: 1,
        errorPage: null,
        matchCn: null,
        passCertificate: false,
      } as const;
      const asking = { ...host("a.example", route("/", "web")), clientAuth };
      const { files } = renderNginx({
        snapshot: snapshot({ hosts: [asking], upstreams: [upstream("web", { protocol })] }),
        keys: new Map(),
        settings: { ...renderSettings, httpPort, httpsPort },
        templates,
        selfSigned: null,
      });
      const running = await startNginx(nginx ?? "", files, httpPort);
      try {
        assert.equal((await get(httpPort, "/", "a.example")).status, 503);
      } finally {
        await running.stop();
      }
    });
  }
});
