import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { findPorts, findTaken } from "../../src/serve/ports/find-ports.ts";
import { PortClaims } from "../../src/serve/ports/port-claims.ts";
import { closedPort } from "../support/test-plane.ts";

const address = "127.0.0.1";

/** Somebody who shares a port, as a second Sluice's workers would: one of them would get a part of the connections. */
async function sharing(port = 0): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer();
  server.listen({ host: address, port, reusePort: true });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      await once(server, "close");
    },
  };
}

async function sharingUdp(port = 0): Promise<{ readonly port: number; close(): Promise<void> }> {
  const socket = createSocket({ type: "udp4", reusePort: true });
  socket.bind({ address, port });
  await once(socket, "listening");
  return {
    port: socket.address().port,
    async close() {
      socket.close();
      await once(socket, "close");
    },
  };
}

describe("where workers can listen", () => {
  it("are two free ports where any will do, and those asked for else, which can be listened on afterwards", async () => {
    const { http, https } = await findPorts({ address, http: 0, https: 0 });
    assert.ok(http > 0 && https > 0 && http !== https, `${http} ${https}`);
    assert.deepEqual(await findPorts({ address, http, https }), { address, http, https });
    const after = await sharing(http);
    await after.close();
  });

  it("is not where somebody listens who shares the port, and the reason names the flag", async () => {
    const taken = await sharing();
    const place = `cannot listen on 127.0.0.1:${taken.port} (EADDRINUSE): something else on this machine has the port; choose another by`;
    await assert.rejects(findPorts({ address, http: taken.port, https: 0 }), {
      message: `${place} --http-port, or end what has it`,
    });
    await assert.rejects(findPorts({ address, http: 0, https: taken.port }), {
      message: `${place} --https-port, or end what has it`,
    });
    await taken.close();
    await findPorts({ address, http: taken.port, https: 0 });
  });

  it("is not one port for both", async () => {
    const port = await closedPort();
    await assert.rejects(findPorts({ address, http: port, https: port }), /EADDRINUSE/);
    // Nothing of a search that failed holds a port.
    await findPorts({ address, http: port, https: 0 });
  });

  it("is an address of this machine", async () => {
    const wanted = { address: "192.0.2.1", http: 0, https: 0 };
    await assert.rejects(findPorts(wanted), /EADDRNOTAVAIL.*correct --bind-address/);
  });

  it("is told of TCP and UDP apart", async () => {
    const tcp = await sharing();
    const udp = await sharingUdp();
    const look = (protocol: "tcp" | "udp", port: number) => findTaken({ protocol, address, port });
    assert.equal(await look("tcp", tcp.port), "EADDRINUSE");
    assert.equal(await look("udp", udp.port), "EADDRINUSE");
    await tcp.close();
    await udp.close();
    assert.deepEqual([await look("tcp", tcp.port), await look("udp", udp.port)], [null, null]);
  });
});

describe("the claims of workers to ports of services", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    const share = protocol === "tcp" ? sharing : sharingUdp;

    it(`are one process's at a time, ${protocol}`, async () => {
      const ours = new PortClaims();
      const stranger = await share();
      const place = { protocol, address, port: stranger.port };
      assert.deepEqual(await Promise.all([ours.claim(0, place), ours.claim(1, place)]), ["EADDRINUSE", "EADDRINUSE"]);
      await stranger.close();
      assert.deepEqual(await Promise.all([ours.claim(0, place), ours.claim(1, place)]), [null, null]);

      // What the first listens with does not keep others of ours away.
      const first = await share(place.port);
      assert.equal(await ours.claim(2, place), null);
      ours.release(0, place);
      ours.releaseAll(1);
      assert.equal(await ours.claim(0, place), null);
      ours.releaseAll(0);
      ours.release(2, place);
      await first.close();

      // Nobody's any more: the next one of ours has to look again.
      const next = await share(place.port);
      assert.equal(await ours.claim(0, place), "EADDRINUSE");
      await next.close();
    });
  }

  it("do not meet with each other when a worker dies while it is looked, and another wants the port", async () => {
    const claims = new PortClaims();
    const place = { protocol: "tcp", address, port: await closedPort() } as const;
    const first = claims.claim(0, place);
    claims.releaseAll(0);
    assert.deepEqual(await Promise.all([first, claims.claim(0, place)]), [null, null]);
  });
});
