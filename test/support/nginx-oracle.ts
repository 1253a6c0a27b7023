/**
 * A real nginx as the second opinion on how targets are normalised and regular expressions are read. It listens on a Unix
 * socket in a directory of its own. Suites that need it are skipped, with one line, where nginx is not installed, unless
 * SLUICE_TEST_ALL=1 says that everything must run.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface NginxOracle {
  /** Sends one HTTP/1.0 request; bytes are one character each, both ways. */
  get(target: string, host?: string): Promise<{ readonly status: number; readonly body: string }>;
  stop(): Promise<void>;
}

/** The nginx to ask; null when none is installed and the suite may be skipped. */
export function nginxForOracle(): string | null {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const found = directories.map((directory) => join(directory, "nginx")).find((file) => existsSync(file));
  if (found === undefined && process.env.SLUICE_TEST_ALL === "1") {
    throw new Error("SLUICE_TEST_ALL=1 needs nginx; install it, in Debian with: apt-get install nginx-light");
  }
  return found ?? null;
}

/** `http` are the directives of the http block; every server listens on `unix:<directory>/socket`, given as SOCKET. */
export async function startNginxOracle(nginx: string, http: string): Promise<NginxOracle> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-oracle-"));
  const socket = join(directory, "socket");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${directory};`,
  );
  const configuration = `daemon off; master_process off; pid ${directory}/pid; error_log stderr error;
events { worker_connections 512; }
http { access_log off; ${temporary.join(" ")} ${http.replaceAll("SOCKET", `unix:${socket}`)} }
`;
  await writeFile(join(directory, "nginx.conf"), configuration);
  const child = spawn(nginx, ["-p", directory, "-e", "stderr", "-c", "nginx.conf"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    process.off("exit", kill);
    if (child.exitCode === null && child.signalCode === null) {
      const closed = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await closed;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await listening(child, socket);
  } catch (error) {
    await stop();
    throw error;
  }
  return { get: (target, host = "oracle") => request(socket, target, host), stop };
}

/** A name or pattern as one argument of a directive. */
export function nginxQuoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

async function listening(child: ChildProcess, socket: string): Promise<void> {
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  for (;;) {
    try {
      await request(socket, "/", "oracle");
      return;
    } catch {
      if (child.exitCode !== null) {
        throw new Error(`nginx ended with ${child.exitCode}: ${output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function request(socket: string, target: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let text = "";
    const connection = createConnection(socket, () => {
      connection.write(`GET ${target} HTTP/1.0\r\nHost: ${host}\r\n\r\n`, "latin1");
    });
    connection.setEncoding("latin1");
    connection.on("data", (chunk) => {
      text += chunk;
    });
    connection.on("error", reject);
    connection.on("end", () => {
      const head = /^HTTP\/1\.1 (\d{3}) [\s\S]*?\r\n\r\n/.exec(text);
      if (head === null) {
        reject(new Error(`no HTTP response: ${JSON.stringify(text)}`));
        return;
      }
      resolve({ status: Number(head[1]), body: text.slice(head[0].length) });
    });
  });
}
