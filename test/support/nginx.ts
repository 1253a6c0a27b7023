/**
 * A real nginx that runs what `sluice render` writes, in a directory of its own. Where nginx is not installed, suites that
 * need it are skipped with one line, unless SLUICE_TEST_ALL=1 says that everything must run (see nginxForOracle).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RenderedFile } from "../../src/render/nginx.ts";

export interface RunningNginx {
  stop(): Promise<void>;
}

/** For the title of a test that is skipped. */
export const needsNginx = "needs nginx, in Debian: apt-get install nginx-light";

/** For the title of a test that is skipped. */
export const needsStreams = "needs nginx's module for streams, in Debian: apt-get install libnginx-mod-stream";

/** Where Debian, and nginx.org, have it. */
const streamModules = ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

/** True when this nginx takes a stream block; throws where there is none and SLUICE_TEST_ALL=1 says that there must be. */
export function hasStreams(nginx: string): boolean {
  const has = streamsBuiltIn(nginx) || streamModules.some((file) => existsSync(file));
  if (!has && process.env.SLUICE_TEST_ALL === "1") throw new Error(`SLUICE_TEST_ALL=1 ${needsStreams}`);
  return has;
}

function streamsBuiltIn(nginx: string): boolean {
  return / --with-stream(?: |$)/.test(spawnSync(nginx, ["-V"], { encoding: "utf8" }).stderr);
}

/** What has to stand before the configuration for its stream block. */
function loadModules(nginx: string, files: readonly RenderedFile[]): string {
  if (!files.some(({ content }) => /^stream \{$/m.test(content)) || streamsBuiltIn(nginx)) return "";
  const file = streamModules.find((each) => existsSync(each));
  return file === undefined ? "" : ` load_module ${file};`;
}

/** Starts nginx on the files and resolves when it listens on all of its ports; `port` is one of them, for HTTP. */
export async function startNginx(nginx: string, files: readonly RenderedFile[], port: number): Promise<RunningNginx> {
  const directory = await writeFiles(files);
  // Started by root, its workers would be nobody, who may not enter the directory.
  const user = process.getuid?.() === 0 ? " user root;" : "";
  const args = [
    "-p",
    directory,
    "-e",
    "stderr",
    "-c",
    "nginx.conf",
    "-g",
    `daemon off;${user}${loadModules(nginx, files)}`,
  ];
  const child = spawn(nginx, args, { stdio: ["ignore", "ignore", "pipe"] });
  const output = outputOf(child);
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    process.off("exit", kill);
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  while (!(await answers(port))) {
    if (child.exitCode !== null) {
      await stop();
      throw new Error(`nginx ended with ${child.exitCode}: ${output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { stop };
}

/** What `nginx -t` says of the files: null when it accepts them. */
export async function testNginx(nginx: string, files: readonly RenderedFile[]): Promise<string | null> {
  const directory = await writeFiles(files);
  try {
    const modules = loadModules(nginx, files);
    const before = modules === "" ? [] : ["-g", modules];
    const child = spawn(nginx, ["-t", "-q", "-p", directory, "-e", "stderr", "-c", "nginx.conf", ...before], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const output = outputOf(child);
    const code = await new Promise((resolve) => child.once("close", resolve));
    return code === 0 ? null : output();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Ports that nothing listens on, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(address === null || typeof address === "string" ? 0 : address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * A port for HTTPS where TLS is passed through: the one below it is free as well, for nginx ends TLS there. Neither is one that
 * the kernel gives to connections of other processes (32768 and above on Linux), for any of these may come meanwhile.
 */
export async function freeHttpsPort(): Promise<number> {
  for (;;) {
    const port = 20_001 + Math.floor(Math.random() * 12_000);
    if ((await canListen(port)) && (await canListen(port - 1))) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    // On every address, as those of other hosts are used.
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}

async function writeFiles(files: readonly RenderedFile[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-nginx-"));
  for (const { path, mode, content } of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content, { mode });
  }
  return directory;
}

function outputOf(child: ChildProcess): () => string {
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  return () => output;
}

/**
 * Whether a worker takes connections. That one can connect does not say so: nginx opens its sockets one by one, and starts
 * its workers when it has them all. What is sent is no request, so that no route and no upstream sees it: it is answered
 * with 400, or closed where a header of the PROXY protocol is missing.
 */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("no request\r\n\r\n"));
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once("data", () => settle(true));
    socket.once("end", () => settle(true));
    socket.once("error", () => settle(false));
  });
}
