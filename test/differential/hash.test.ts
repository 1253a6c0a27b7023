/** A consistent hash of the rendered file leads every key to the endpoint that Sluice's own leads it to. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { renderNginx } from "../../src/render/nginx.ts";
import { renderSettings } from "../render/snapshots.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { templates } from "../support/templates.ts";
import { answering, ok, TestPlane, TestUpstream, withOptions } from "../support/test-plane.ts";

const nginx = nginxForOracle();

describe("upstream-hash-by, through Sluice and through nginx with the rendered file", () => {
  if (nginx === null) {
    it.skip(needsNginx);
    return;
  }

  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
  for (const key of ["$request_uri", "${host}/$http_x_user$arg_id", 'a"b{c;$cookie_user']) {
    it(`chooses the same of five endpoints by ${key}`, async () => {
      const upstreams = await Promise.all(
        Array.from({ length: 5 }, (_, index) => TestUpstream.start(answering(() => ok(`${index}`)))),
      );
      const [httpPort = 0, httpsPort = 0] = await freePorts(2);
      const algorithm = { kind: "hash", key, subset: null } as const;
      const snapshot = withOptions(
        upstreams.map(({ port }) => port),
        { algorithm },
      );
      const settings = { ...renderSettings, httpPort, httpsPort };
      const rendered = renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned: null });
      const ours = await TestPlane.start();
      const theirs = await startNginx(nginx, rendered.files, httpPort);
      try {
        await ours.publish(snapshot);
        const seen = new Set<string>();
        for (let count = 0; count < 100; count++) {
          const text = `GET /item/${count}?id=${count} HTTP/1.1\r\nHost: a.example\r\nX-User: u${count}\r\nCookie: a=b; user=${count}\r\nConnection: close\r\n\r\n`;
          const answer = await ours.request(text);
          const peer = await fetchOnce(httpPort, text);
          assert.equal(answer.body, peer, `request ${count}`);
          seen.add(peer);
        }
        assert.equal(seen.size, 5);
      } finally {
        await theirs.stop();
        await ours.stop();
        await Promise.all(upstreams.map((upstream) => upstream.stop()));
      }
    });
  }
});

/** The body of one response of a few bytes. */
async function fetchOnce(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}
