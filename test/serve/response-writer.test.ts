/** When bytes of responses leave: with the turn of the event loop, in order, and never half of what is cut short. */
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { ResponseWriter } from "../../src/serve/client/response-writer.ts";

/** A socket that is not connected to anything and notes what it is given. */
class NotingSocket extends Socket {
  readonly writes: string[] = [];

  constructor() {
    super();
    this.cork = () => undefined;
    this.uncork = () => undefined;
    this.write = (chunk: string | Uint8Array) => {
      this.writes.push(Buffer.from(chunk as string, "latin1").toString("latin1"));
      return true;
    };
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("what is written to an HTTP/1.1 client", () => {
  it("leaves as one write at the end of the turn, several answers too", async () => {
    const socket = new NotingSocket();
    const writer = new ResponseWriter(socket, () => undefined);
    for (const body of ["one", "two"]) {
      writer.head("HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", false, false);
      writer.write(Buffer.from(body));
      writer.end("");
    }
    assert.deepEqual(socket.writes, []);
    await turn();
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    assert.deepEqual(socket.writes, [`${head}one${head}two`]);
    writer.head("HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", false, false);
    writer.writeText("six");
    writer.end("");
    await turn();
    assert.equal(socket.writes[1], `${head}six`);
  });

  it("leaves at once when somebody asks for it, and not again", async () => {
    const socket = new NotingSocket();
    const writer = new ResponseWriter(socket, () => undefined);
    writer.head("HTTP/1.1 200 OK\r\n", "", true, false);
    writer.write(Buffer.from("part"));
    writer.flush();
    assert.deepEqual(socket.writes, ["HTTP/1.1 200 OK\r\n\r\n4\r\npart\r\n"]);
    writer.end("X-Sum: 1\r\n");
    writer.interim("HTTP/1.1 103 Early Hints\r\n\r\n");
    assert.deepEqual(socket.writes.slice(1), ["0\r\nX-Sum: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"]);
    await turn();
    assert.equal(socket.writes.length, 2);
  });

  it("sends whole answers before one that is cut short, and nothing of that", async () => {
    const socket = new NotingSocket();
    const writer = new ResponseWriter(socket, () => undefined);
    writer.head("HTTP/1.1 204 No Content\r\n", "", false, true);
    writer.end("");
    writer.head("HTTP/1.1 200 OK\r\n", "Content-Length: 9\r\n", false, false);
    writer.write(Buffer.from("begun"));
    writer.cut();
    await turn();
    assert.deepEqual(socket.writes, ["HTTP/1.1 204 No Content\r\n\r\n"]);
  });

  it("does not wait with much, and keeps large parts in their place", async () => {
    const socket = new NotingSocket();
    const writer = new ResponseWriter(socket, () => undefined);
    for (let answer = 0; answer < 100; answer++) {
      writer.head("HTTP/1.1 200 OK\r\n", "Content-Length: 1000\r\n", false, false);
      writer.write(Buffer.alloc(1000, "x"));
      writer.end("");
    }
    assert.equal(socket.writes.length >= 5, true);
    const large = Buffer.alloc(5000, "y");
    writer.head("HTTP/1.1 200 OK\r\n", "Content-Length: 5000\r\n", false, false);
    writer.write(large);
    writer.end("");
    await turn();
    const all = socket.writes.join("");
    assert.equal(all.split("HTTP/1.1 200 OK").length - 1, 101);
    assert.equal(all.endsWith(`Content-Length: 5000\r\n\r\n${large}`), true);
  });
});
