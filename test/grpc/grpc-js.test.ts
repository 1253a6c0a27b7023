/**
 * gRPC end to end with @grpc/grpc-js, the library of Node: calls of all four kinds, and how each may fail. What grpc-go makes
 * of the same is in interop.test.ts.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type requestCallback,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { closedPort, oneRoute, TestPlane, until } from "../support/test-plane.ts";

const raw = (value: Buffer): Buffer => value;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
});
const service: ServiceDefinition = {
  unary: method("Unary", false, false),
  upload: method("Upload", true, false),
  download: method("Download", false, true),
  chat: method("Chat", true, true),
};
/** What is asked for, and the name in the handshake, which must not be an address. */
const named = { "grpc.ssl_target_name_override": "grpc.example.com", "grpc.default_authority": "grpc.example.com" };
const Echo = makeGenericClientConstructor(service, "Echo");

/** What the generic client has, by the names above. */
interface EchoClient {
  unary(
    message: Buffer,
    metadata: Metadata,
    options: { deadline?: number },
    callback: requestCallback<Buffer>,
  ): ClientUnaryCall;
  upload(metadata: Metadata, callback: requestCallback<Buffer>): ClientWritableStream<Buffer>;
  download(message: Buffer, metadata?: Metadata): ClientReadableStream<Buffer>;
  chat(metadata?: Metadata): ClientDuplexStream<Buffer, Buffer>;
  close(): void;
}

function routeTo(port: number, read = 60_000): Snapshot {
  const snapshot = oneRoute([port], { timeouts: { connect: 5_000, read, send: 60_000 } });
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol: "grpc" as const })) };
}

describe("gRPC with @grpc/grpc-js", () => {
  let plane: TestPlane;
  let server: Server;
  let port = 0;
  let client: EchoClient;
  let cancelled = 0;

  const implementation: UntypedServiceImplementation = {
    unary(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
      const text = call.request.toString();
      call.on("cancelled", () => cancelled++);
      if (text === "silent") return;
      const answer = new Metadata();
      for (const value of call.metadata.get("x-echo")) answer.add("x-echo", value);
      for (const value of call.metadata.get("x-echo-bin")) answer.add("x-echo-bin", value);
      call.sendMetadata(answer);
      const trailer = new Metadata();
      trailer.set("x-trailer", "behind");
      if (text === "wait") return;
      if (text === "fail") callback({ code: status.NOT_FOUND, details: "nothing: 100 % \u00fc", metadata: trailer });
      else callback(null, call.request, trailer);
    },
    upload(call: ServerReadableStream<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on("data", (part: Buffer) => parts.push(part));
      call.on("end", () => callback(null, Buffer.concat(parts)));
    },
    download(call: ServerWritableStream<Buffer, Buffer>) {
      const [count = 0, size = 0] = call.request.toString().split(" ").map(Number);
      call.on("cancelled", () => cancelled++);
      let sent = 0;
      const send = (): void => {
        while (sent < count) {
          sent++;
          if (!call.write(Buffer.alloc(size, "x"))) {
            call.once("drain", send);
            return;
          }
        }
        call.end();
      };
      send();
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (part: Buffer) => {
        if (part.toString() === "fail") call.emit("error", { code: status.ABORTED, details: "enough" });
        else call.write(part);
      });
      call.on("end", () => call.end());
    },
  };

  before(async () => {
    plane = await TestPlane.start();
    server = new Server();
    server.addService(service, implementation);
    port = await new Promise((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
  });
  after(async () => {
    server.forceShutdown();
    await plane.stop();
  });
  beforeEach(async () => {
    cancelled = 0;
    await plane.publish(routeTo(port));
    const trusting = credentials.createSsl(null, null, null, { rejectUnauthorized: false });
    client = new Echo(`127.0.0.1:${plane.plane.ports.https}`, trusting, named) as unknown as EchoClient;
  });
  afterEach(() => client.close());

  function ask(message: string | Buffer, metadata = new Metadata(), options: { deadline?: number } = {}) {
    return new Promise<{ message: Buffer; call: ClientUnaryCall }>((resolve, reject) => {
      const call = client.unary(Buffer.from(message), metadata, options, (error, answer) =>
        error === null ? resolve({ message: answer ?? Buffer.alloc(0), call }) : reject(error),
      );
    });
  }

  const failure = async (promise: Promise<unknown>): Promise<ServiceError> =>
    promise.then(
      () => assert.fail("it did not fail"),
      (error: ServiceError) => error,
    );

  it("carries single calls, with messages of any size", async () => {
    for (const size of [0, 1, 16_379, 16_384, 70_000, 3_000_000]) {
      const { message } = await ask(Buffer.alloc(size, "m"));
      assert.equal(message.length, size);
    }
  });

  it("carries metadata before and behind the messages, of text and of bytes", async () => {
    const metadata = new Metadata();
    metadata.set("x-echo", "one, two");
    metadata.set("x-echo-bin", Buffer.from([0, 255, 10, 13]));
    const call = client.unary(Buffer.from("x"), metadata, {}, () => {});
    const [head] = (await once(call, "metadata")) as [Metadata];
    assert.deepEqual(head.get("x-echo"), ["one, two"]);
    assert.deepEqual(head.get("x-echo-bin"), [Buffer.from([0, 255, 10, 13])]);
    const [end] = (await once(call, "status")) as [{ code: number; metadata: Metadata }];
    assert.deepEqual([end.code, end.metadata.get("x-trailer")], [status.OK, ["behind"]]);
  });

  it("carries a stream of messages up", async () => {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const call = client.upload(new Metadata(), (error, value) =>
        error ? reject(error) : resolve(value ?? Buffer.alloc(0)),
      );
      for (let count = 0; count < 200; count++) call.write(Buffer.alloc(10_000, "u"));
      call.end();
    });
    assert.equal(answer.length, 2_000_000);
  });

  it("carries a stream of messages down, however late they are read", async () => {
    const call = client.download(Buffer.from("200 10000"));
    await once(call, "metadata");
    let received = 0;
    for await (const part of call) {
      received += (part as Buffer).length;
      if (received % 500_000 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(received, 2_000_000);
  });

  it("carries both directions at once, each message as it comes", async () => {
    const call = client.chat();
    for (const word of ["one", "two", "three"]) {
      call.write(Buffer.from(word));
      const [echo] = (await once(call, "data")) as [Buffer];
      assert.equal(echo.toString(), word);
    }
    call.end();
    const [end] = (await once(call, "status")) as [{ code: number }];
    assert.equal(end.code, status.OK);
  });

  // Symptom: a chat in which both sides were silent for a minute ended, whatever proxy-read-timeout said.
  it("lets both sides of a stream be silent for as long as the upstream may be", async () => {
    await plane.configure({ clientBodyTimeout: 150 });
    const call = client.chat();
    for (const word of ["one", "two"]) {
      call.write(Buffer.from(word));
      const [echo] = (await once(call, "data")) as [Buffer];
      assert.equal(echo.toString(), word);
      await new Promise((resolve) => setTimeout(resolve, 600));
    }
    call.end();
    call.resume();
    assert.equal(((await once(call, "status")) as [{ code: number }])[0].code, status.OK);

    await plane.publish(routeTo(port, 300));
    const silent = client.chat();
    silent.write(Buffer.from("one"));
    await once(silent, "data");
    assert.equal((await failure(once(silent, "end"))).code, status.INTERNAL, "the upstream's limit ends it");
    await plane.configure({});
  });

  it("ends a stream up that the client leaves lying before any answer", async () => {
    await plane.configure({ clientBodyTimeout: 150 });
    const failed = new Promise<ServiceError>((resolve, reject) => {
      const call = client.upload(new Metadata(), (error) =>
        error === null ? reject(new Error("it was answered")) : resolve(error),
      );
      call.write(Buffer.from("a part"));
    });
    assert.match((await failed).details, /408 Request Timeout/);
    await plane.configure({});
  });

  it("carries calls without a message", async () => {
    const call = client.chat();
    call.end();
    call.resume();
    const [end] = (await once(call, "status")) as [{ code: number }];
    assert.equal(end.code, status.OK);
  });

  it("carries many calls at once on one connection", async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => ask(`call ${index}`)));
    assert.deepEqual(
      answers.map(({ message }) => message.toString()),
      answers.map((_, index) => `call ${index}`),
    );
  });

  it("tells the status of an error, before and behind messages, with what it says", async () => {
    const error = await failure(ask("fail"));
    assert.deepEqual([error.code, error.details], [status.NOT_FOUND, "nothing: 100 % \u00fc"]);
    assert.deepEqual(error.metadata.get("x-trailer"), ["behind"]);
    const call = client.chat();
    call.write(Buffer.from("first"));
    await once(call, "data");
    call.write(Buffer.from("fail"));
    const [late] = (await once(call, "error")) as [ServiceError];
    assert.deepEqual([late.code, late.details], [status.ABORTED, "enough"]);
  });

  it("ends a call at its deadline on both sides", async () => {
    const error = await failure(ask("wait", new Metadata(), { deadline: Date.now() + 300 }));
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    await until(() => cancelled === 1, "the server to hear of it");
  });

  it("passes a cancellation on, before the answer and within it", async () => {
    const call = client.unary(Buffer.from("wait"), new Metadata(), {}, () => {});
    await once(call, "metadata");
    call.cancel();
    const [end] = (await once(call, "status")) as [{ code: number }];
    assert.equal(end.code, status.CANCELLED);
    await until(() => cancelled === 1, "the server to hear of it");
    const download = client.download(Buffer.from("100000 10000"));
    download.on("error", () => {});
    await once(download, "data");
    download.cancel();
    await until(() => cancelled === 2, "the server to hear of the second");
  });

  it("tells its own failures by a status of gRPC", async () => {
    await plane.publish(routeTo(port, 300));
    assert.equal((await failure(ask("silent"))).code, status.UNAVAILABLE);
    // Once an answer has begun, its stream can only be reset, with an internal error.
    assert.equal((await failure(ask("wait"))).code, status.INTERNAL);
    await plane.publish(routeTo(await closedPort()));
    assert.equal((await failure(ask("x"))).code, status.UNAVAILABLE);
    const nowhere = routeTo(port);
    await plane.publish({ ...nowhere, upstreams: nowhere.upstreams.map((each) => ({ ...each, endpoints: [] })) });
    assert.equal((await failure(ask("x"))).code, status.UNAVAILABLE);
  });

  it("tells that a service is not there as the server does", async () => {
    const Other = makeGenericClientConstructor(
      { none: { ...service.unary, path: "/test.None/None" } } as ServiceDefinition,
      "",
    );
    const trusting = credentials.createSsl(null, null, null, { rejectUnauthorized: false });
    const other = new Other(`127.0.0.1:${plane.plane.ports.https}`, trusting, named);
    const error = await failure(
      new Promise((resolve, reject) =>
        (other as unknown as { none: EchoClient["unary"] }).none(
          Buffer.from("x"),
          new Metadata(),
          {},
          (wrong, value) => (wrong === null ? resolve(value) : reject(wrong)),
        ),
      ),
    );
    assert.equal(error.code, status.UNIMPLEMENTED);
    other.close();
  });
});
