/** The upstream of all peers: nginx that answers from its configuration and from files, over HTTP/1.1 and as a gRPC service. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startNginx } from "./peers/nginx.ts";
import { freePort, type Pinned } from "./processes.ts";
import { backendFiles } from "./workload.ts";

/** The short answer. */
export const body = `${"a hundred bytes of answer, ".repeat(4).slice(0, 99)}\n`;

/** A gRPC message of a hundred bytes, as request and as answer: one byte of flags, four of length. */
export const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 95]), Buffer.alloc(95, "m")]);

export interface Backend {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly messageFile: string;
  readonly process: Pinned;
}

export async function startBackend(directory: string, cores: string): Promise<Backend> {
  const files = join(directory, "files");
  mkdirSync(files, { recursive: true });
  for (const [name, size] of Object.entries(backendFiles)) {
    const file = openSync(join(files, `${name}.bin`), "w");
    ftruncateSync(file, size);
    closeSync(file);
  }
  const messageFile = join(files, "message");
  writeFileSync(messageFile, message);
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  // nginx serves no file to POST; an error page is asked for with GET. The filter takes the Content-Length away, which gRPC
  // servers do not send.
  const servers = `  access_log off;
  sendfile on;
  open_file_cache max=10;
  server {
    listen 127.0.0.1:${httpPort} backlog=16384;
    listen 127.0.0.2:${httpPort} backlog=16384;
    location / { return 200 ${JSON.stringify(body)}; }
    location ~ /([0-9a-z]+\\.bin)$ { root ${files}; try_files /$1 =404; }
  }
  server {
    listen 127.0.0.1:${grpcPort} http2 backlog=16384;
    root ${files};
    default_type application/grpc;
    add_trailer grpc-status 0 always;
    location / { error_page 405 =200 /message; return 405; }
    location = /message { sub_filter_types application/grpc; sub_filter no-such-text other; }
  }
`;
  return {
    httpPort,
    grpcPort,
    messageFile,
    process: startNginx(cores, directory, servers, { connections: 16_384 }),
  };
}
