/**
 * A real nginx that runs what `sluice render` writes, in a directory of its own. Where nginx is not installed, suites that
 * need it are skipped with one line, unless SLUICE_TEST_ALL=1 says that everything must run (see nginxForOracle).
 */
import { type ChildProcess, spawn } from "node:child_process";
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

/** Starts nginx on the files and resolves when it accepts connections on `port`. */
export async function startNginx(nginx: string, files: readonly RenderedFile[], port: number): Promise<RunningNginx> {
  const directory = await writeFiles(files);
  // Started by root, its workers would be nobody, who may not enter the directory.
  const user = process.getuid?.() === 0 ? " user root;" : "";
  const args = ["-p", directory, "-e", "stderr", "-c", "nginx.conf", "-g", `daemon off;${user}`];
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
  while (!(await accepts(port))) {
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
    const child = spawn(nginx, ["-t", "-q", "-p", directory, "-e", "stderr", "-c", "nginx.conf"], {
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

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
