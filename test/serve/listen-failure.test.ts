import assert from "node:assert/strict";
import { type ListenError, listenFailure } from "../../src/serve/ports/listen-failure.ts";

const flags = { port: "--http-port", address: "--bind-address" };

function told(parts: Omit<ListenError, "name" | "message">): string {
  return listenFailure(Object.assign(new Error("listen failed"), parts), flags);
}

describe("why a port cannot be listened on", () => {
  const cases: readonly [about: string, parts: Parameters<typeof told>[0], message: string][] = [
    [
      "a port that is taken",
      { code: "EADDRINUSE", address: "10.0.0.1", port: 80 },
      "cannot listen on 10.0.0.1:80 (EADDRINUSE): something else on this machine has the port; choose another by --http-port, or end what has it",
    ],
    [
      "a port for the privileged",
      { code: "EACCES", address: "::", port: 80 },
      "cannot listen on [::]:80 (EACCES): this process may not have the port; choose one above 1023 by --http-port, or give it the capability NET_BIND_SERVICE",
    ],
    [
      "an address of another machine, where any port would do",
      { code: "EADDRNOTAVAIL", address: "192.0.2.1" },
      "cannot listen on 192.0.2.1 (EADDRNOTAVAIL): this machine has no such address; correct --bind-address",
    ],
    [
      "an address of a family that there is not",
      { code: "EAFNOSUPPORT", address: "fd00::1", port: 80 },
      "cannot listen on [fd00::1]:80 (EAFNOSUPPORT): this machine has no such address; correct --bind-address",
    ],
    [
      "what nobody thought of",
      { code: "EPERM", address: "10.0.0.1", port: 80 },
      "cannot listen on 10.0.0.1:80 (EPERM): choose another place by --http-port and --bind-address",
    ],
    ["an error of something else", { code: "EMFILE" }, "listen failed"],
  ];
  for (const [about, parts, message] of cases) {
    it(`tells ${about}`, () => {
      assert.equal(told(parts), message);
    });
  }
});
