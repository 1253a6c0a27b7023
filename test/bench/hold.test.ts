import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { otherCores } from "./cores.ts";
import { type Conversation, converse } from "./processes.ts";

const holder = fileURLToPath(new URL("clients/hold.mjs", import.meta.url));
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("the benchmark's client that holds connections", () => {
  let server: Server | undefined;
  let client: Conversation | undefined;
  const sockets = new Set<Socket>();
  afterEach(async () => {
    await client?.stop();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server?.close();
  });

  /** `asked` is told of each request, with the number of its connection, from 1. */
  async function hold(count: number, asked: (socket: Socket, index: number) => void): Promise<Conversation> {
    server = createServer((socket) => {
      sockets.add(socket);
      const index = sockets.size;
      socket.on("error", () => {}).on("data", () => asked(socket, index));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const options = { port, count, tls: false, host: "a.example.com", target: "/", unread: null, warmUp: 2 };
    client = converse(otherCores(), [process.execPath, holder, JSON.stringify(options)]);
    return client;
  }

  it("says when the first are closed again, and when all are open", async () => {
    const told = await hold(5, (socket) => socket.write(answer));
    assert.equal(await told.line(10), "warm");
    told.say("");
    assert.equal(await told.line(10), "open");
    assert.equal([...sockets].filter(({ destroyed }) => !destroyed).length, 5);
  });

  it("says which connection the peer closed", async () => {
    const told = await hold(5, (socket, index) => socket.write(answer, () => index === 4 && socket.destroy()));
    assert.equal(await told.line(10), "warm");
    told.say("");
    // It may have said before that all are open.
    const rest = told.line(10).then(() => told.line(10));
    await assert.rejects(
      rest,
      /^Error: node hold\.mjs ended \(exit code 1\): connection 2: (the peer closed it|read ECONNRESET)$/,
    );
  });

  it("quotes an answer that is none", async () => {
    const told = await hold(5, (socket) => socket.write("HTTP/1.1 503 Service Unavailable\r\n\r\n"));
    await assert.rejects(
      told.line(10),
      /ended \(exit code 1\): connection \d: answered with "HTTP\/1\.1 503 Service Unavailable/,
    );
  });
});
