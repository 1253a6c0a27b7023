/**
 * The handle under a net.Socket, spoken to directly for what happens with every message: reads into a buffer of ours and
 * writes that the kernel takes at once. Node's way to the same two system calls makes an object for each write and asks for
 * the buffer anew at each read, which is a twentieth of a short exchange (docs/decisions/0052-native-streams.md).
 * `process.binding` and what it gives are old and used by Node's own modules, but not documented: where anything is not as
 * expected, sockets stay as they are and only cost more. Hot.
 */
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { getSystemErrorName } from "node:util";

/** What a handle reads into: takes the bytes read, and gives the next buffer where that is another one. */
export interface DirectReader {
  read(bytes: number): Uint8Array | undefined;
}

type OnRead = (this: Handle, buffer?: ArrayBuffer) => Uint8Array | undefined;

interface Handle {
  onread: OnRead;
  useUserBuffer(buffer: Uint8Array): void;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Kept until the write is complete. */
  buffer: Uint8Array | null;
}

/** What the last call of a handle left: by the indexes below. */
interface Binding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

/** Of net.Socket, what Node does not document. */
interface Inside {
  _handle?: Handle | null;
  _writableState?: WritableState;
  [goesDirect]?: Direct;
}

/** What a stream knows of its writes. */
interface WritableState {
  /** Bytes that wait. */
  readonly length: number;
  readonly corked: number;
  readonly ending: boolean;
  readonly destroyed: boolean;
  /** A write is under way, be it of nothing. */
  readonly writing: boolean;
}

/** Our mark on a socket that writes directly. */
const goesDirect = Symbol("goes direct");

interface Direct {
  readonly handle: Handle;
  readonly state: WritableState;
}

type Written = (error?: Error | null) => void;

const binding = findBinding();

/** What all sockets keep the buffer of their `onread` option by; null until the first was looked at. */
let bufferKey: symbol | null = null;

/**
 * Lets a connected socket that reads by the `onread` option, and whose handle is that of a TCP connection, read and write
 * directly from now on. Everything else that a socket does is as before: its errors, ends, pauses and "drain".
 */
export function goDirect(socket: Socket, reader: DirectReader): void {
  const { _handle: handle } = socket as unknown as Inside;
  if (binding === null || handle === null || handle === undefined) return;
  if (typeof handle.onread !== "function" || typeof handle.writeLatin1String !== "function") return;
  readDirectly(socket, handle, reader, binding);
  writeDirectly(socket, handle, binding);
}

/**
 * The same for the TLS of a client, which Node gives no `onread` option: nothing of it may have been read, and whoever
 * pauses and resumes it finds it as a socket with that option. False: it reads as before, by "data".
 */
export function goDirectTls(socket: Socket, reader: DirectReader, first: Uint8Array): boolean {
  const { _handle: handle } = socket as unknown as Inside;
  bufferKey ??= Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kBuffer") ?? null;
  if (binding === null || handle === null || handle === undefined) return false;
  if (bufferKey === null || !Object.hasOwn(socket, bufferKey)) return false;
  if (typeof handle.onread !== "function" || typeof handle.useUserBuffer !== "function") return false;
  if (socket.readableLength > 0) return false;
  (socket as unknown as Record<symbol, unknown>)[bufferKey] = first;
  handle.useUserBuffer(first);
  readDirectly(socket, handle, reader, binding);
  return true;
}

function readDirectly(socket: Socket, handle: Handle, reader: DirectReader, binding: Binding): void {
  const { streamBaseState, kReadBytesOrError } = binding;
  const inside = socket as unknown as Inside;
  const usual = handle.onread;
  handle.onread = function onread(buffer) {
    const bytes = streamBaseState[kReadBytesOrError] as number;
    // Ends and errors are for the socket to tell. One that is destroyed has let go of its handle.
    if (bytes > 0 && inside._handle === handle) return reader.read(bytes);
    return usual.call(this, buffer);
  };
}

/**
 * As socket.write(text, "latin1"). Where nothing waits and the kernel takes all, the stream need not know: to go through it
 * costs as much as a line of the access log. Hot.
 */
export function writeText(socket: Writable, text: string): void {
  const inside = socket as unknown as Inside;
  const direct = inside[goesDirect];
  if (binding === null || direct === undefined || !isClear(direct) || inside._handle !== direct.handle) {
    socket.write(text, "latin1");
    return;
  }
  const request = spare ?? new binding.WriteWrap();
  spare = request;
  const failed = direct.handle.writeLatin1String(request, text);
  if (failed !== 0) socket.destroy(writeError(failed));
  else if (binding.streamBaseState[binding.kLastWriteWasAsync] !== 0) {
    begun = request;
    socket.write(text, "latin1");
    if (begun === null) return;
    // The stream holds it back, and would write it twice; and the next write of any socket would be taken for this one.
    begun = null;
    spare = null;
    socket.destroy(new Error("a write that was begun has not been taken over"));
  }
}

function isClear({ state }: Direct): boolean {
  return state.length === 0 && state.corked === 0 && !state.writing && !state.ending && !state.destroyed;
}

/** A write under way, of what the stream is to hear of next: that it waits. */
let begun: WriteRequest | null = null;

function writeDirectly(socket: Socket, handle: Handle, binding: Binding): void {
  const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding;
  const inside = socket as unknown as Inside;
  const { _writableState: state } = inside;
  if (isWhole(state)) inside[goesDirect] = { handle, state };
  const usual = socket._write;
  socket._write = (chunk: string | Uint8Array, encoding: string, callback: Written): void => {
    if (begun !== null) {
      awaitWrite(begun, callback);
      begun = null;
      return;
    }
    const text = typeof chunk === "string";
    if ((text && encoding !== "latin1") || inside._handle !== handle) {
      usual.call(socket, chunk, encoding as BufferEncoding, callback);
      return;
    }
    const request = spare ?? new WriteWrap();
    spare = request;
    const failed = text ? handle.writeLatin1String(request, chunk) : handle.writeBuffer(request, chunk);
    if (failed !== 0) callback(writeError(failed));
    else if (streamBaseState[kLastWriteWasAsync] === 0) callback();
    else {
      request.buffer = text ? null : chunk;
      awaitWrite(request, callback);
    }
  };
}

/** The kernel has not taken all of it: the request is in use until it has. */
function awaitWrite(request: WriteRequest, callback: Written): void {
  spare = null;
  request.oncomplete = (status) => callback(status < 0 ? writeError(status) : null);
}

/** Serves for one write after another, as long as they are complete when they return. */
let spare: WriteRequest | null = null;

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: "write" });
}

function findBinding(): Binding | null {
  const { binding: find } = process as unknown as { binding?: (name: string) => Partial<Binding> };
  try {
    const found = find?.call(process, "stream_wrap");
    return isBinding(found) ? found : null;
  } catch {
    return null;
  }
}

function isWhole(state: Partial<WritableState> | undefined): state is WritableState {
  if (state === undefined || typeof state.length !== "number" || typeof state.corked !== "number") return false;
  return [state.ending, state.destroyed, state.writing].every((flag) => typeof flag === "boolean");
}

function isBinding(found: Partial<Binding> | undefined): found is Binding {
  if (found === undefined || typeof found.WriteWrap !== "function") return false;
  const { streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = found;
  if (!(streamBaseState instanceof Int32Array)) return false;
  return typeof kReadBytesOrError === "number" && typeof kLastWriteWasAsync === "number";
}
