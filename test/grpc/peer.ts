/** The gRPC peer of this folder: built once by Go from the versions that peer/go.mod pins, into a cache outside of the checkout. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const sources = fileURLToPath(new URL("./peer/", import.meta.url));

/** The peer's program; the first time Go compiles for a minute or two. */
export async function buildPeer(go: string): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? "";
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum", "main.go"]) hash.update(readFileSync(join(sources, file)));
  const directory = join(cache === "" ? join(homedir(), ".cache") : cache, "sluice");
  const program = join(directory, `grpc-peer-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(directory, { recursive: true });
  // Renamed when it is complete: a build that was cut short is never taken for a whole one.
  const building = `${program}.building-${process.pid}`;
  const environment = { ...process.env, CGO_ENABLED: "0" };
  await promisify(execFile)(go, ["build", "-trimpath", "-o", building, "."], { cwd: sources, env: environment });
  renameSync(building, program);
  return program;
}

/** grpc-go's server of the interoperability tests, on a free port. */
export class GrpcServer {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(process_: ChildProcess, port: number) {
    this.#process = process_;
    this.port = port;
  }

  static async start(program: string, overTls: boolean): Promise<GrpcServer> {
    const child = spawn(program, ["serve", ...(overTls ? ["-tls"] : [])], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    return new GrpcServer(child, Number(line));
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.stdin?.end();
    await exited;
  }
}

/** Runs cases as a client, and rejects with what it says of the first that fails. */
export async function callPeer(
  program: string,
  port: number,
  overTls: boolean,
  cases: readonly string[],
): Promise<readonly string[]> {
  const target = ["-address", `127.0.0.1:${port}`, "-authority", "grpc.example.com", ...(overTls ? ["-tls"] : [])];
  const { stdout } = await promisify(execFile)(program, ["call", ...target, ...cases], { timeout: 60_000 });
  return stdout.trim().split("\n");
}
