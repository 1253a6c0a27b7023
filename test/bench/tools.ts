/** What the benchmark runs and does not build: whether it is there, how to install it, and its version. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

interface Tool {
  readonly package: string;
  readonly arguments: readonly string[];
  readonly version: RegExp;
}

const tools: Readonly<Record<string, Tool>> = {
  taskset: { package: "util-linux", arguments: ["-V"], version: /([\d.]+)/ },
  openssl: { package: "openssl", arguments: ["version"], version: /OpenSSL (\S+)/ },
  wrk: { package: "wrk", arguments: ["-v"], version: /wrk (?:debian\/)?([\d.]+)/ },
  h2load: { package: "nghttp2-client", arguments: ["--version"], version: /nghttp2\/(\S+)/ },
  nginx: { package: "nginx-light", arguments: ["-v"], version: /nginx\/(\S+)/ },
  haproxy: { package: "haproxy", arguments: ["-v"], version: /version (\d[\d.]*)/i },
  caddy: { package: "caddy", arguments: ["version"], version: /v?(\d\S*)/ },
};

const said = new Map<string, string | null>();

/** Null when the command is there; else how to get it. */
export function missingTool(command: string): string | null {
  return output(command) === null ? `apt-get install ${tools[command]?.package ?? command}` : null;
}

export function toolVersion(command: string): string {
  return tools[command]?.version.exec(output(command) ?? "")?.[1] ?? "of an unknown version";
}

/** Where Debian puts nginx's module, which its package also enables for the configuration in /etc/nginx alone. */
export const luaModules = "/usr/lib/nginx/modules";

export function missingLua(): string | null {
  return existsSync(`${luaModules}/ngx_http_lua_module.so`) ? null : "apt-get install libnginx-mod-http-lua";
}

/** Null when the package is installed; else how to get it. */
export function missingPackage(name: string): string | null {
  return existsSync(packageFile(name)) ? null : `npm install --save-dev ${name}`;
}

export function packageVersion(name: string): string {
  const parsed: { version: string } = JSON.parse(readFileSync(packageFile(name), "utf8"));
  return parsed.version;
}

function packageFile(name: string): URL {
  return new URL(`../../node_modules/${name}/package.json`, import.meta.url);
}

function output(command: string): string | null {
  const known = said.get(command);
  if (known !== undefined) return known;
  const { error, stdout, stderr } = spawnSync(command, tools[command]?.arguments ?? [], { encoding: "utf8" });
  const text = error === undefined ? stdout + stderr : null;
  said.set(command, text);
  return text;
}
