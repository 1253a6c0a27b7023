/** nginx in three shapes: bare, with what an ingress adds to a request, and as ingress-nginx configures it, with Lua. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PeerDefinition, Surroundings } from "../peer.ts";
import { type Pinned, startPinned } from "../processes.ts";
import { hostsOf, routesOf, type SiteRoute, servicesOf } from "../site.ts";
import { luaModules, missingLua, missingTool, toolVersion } from "../tools.ts";

const plainHeaders = ["Host $http_host"];

/** What ingress-nginx and Sluice tell the upstream. */
const forwardedHeaders = [
  ...plainHeaders,
  "X-Request-ID $request_id",
  "X-Real-IP $remote_addr",
  "X-Forwarded-For $remote_addr",
  "X-Forwarded-Host $http_host",
  "X-Forwarded-Port $server_port",
  "X-Forwarded-Proto $scheme",
  "X-Forwarded-Scheme $scheme",
  "X-Scheme $scheme",
];

const accessLog = `  log_format upstreaminfo '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time $upstream_addr $upstream_response_length '
    '$upstream_response_time $upstream_status $request_id';
  access_log /dev/null upstreaminfo;
`;

/** Counters and histograms a Service in shared memory, as a metrics endpoint beside would read them. */
const luaMetrics = `        local metrics = ngx.shared.metrics
        local variables = ngx.var
        local key = variables.namespace .. "/" .. variables.ingress_name .. "/" .. variables.service_name
        local seconds = tonumber(variables.request_time) or 0
        metrics:incr(key .. "/requests/" .. variables.status, 1, 0)
        metrics:incr(key .. "/bytes", tonumber(variables.bytes_sent) or 0, 0)
        metrics:incr(key .. "/seconds", seconds, 0)
        metrics:incr(key .. (seconds < 0.005 and "/fast" or "/slow"), 1, 0)
`;

/** Chooses the endpoint by round robin, as balancer_by_lua of ingress-nginx does with the endpoints that it was sent. */
const luaBalancer = (port: number, services: readonly string[]): string => `  lua_shared_dict metrics 10m;
  init_worker_by_lua_block {
    local endpoints = {}
    for _, name in ipairs({ ${services.map((name) => `"${name}"`).join(", ")} }) do
      endpoints[name] = { next = 0, { "127.0.0.1", ${port} } }
    end
    package.loaded["endpoints"] = endpoints
  }
  upstream upstream_balancer {
    server 0.0.0.1;
    balancer_by_lua_block {
      local endpoints = require("endpoints")[ngx.var.service_name]
      endpoints.next = endpoints.next % #endpoints + 1
      local endpoint = endpoints[endpoints.next]
      local ok, message = require("ngx.balancer").set_current_peer(endpoint[1], endpoint[2])
      if not ok then ngx.log(ngx.ERR, message) end
    }
    keepalive 320;
    keepalive_requests 1000000000;
  }
`;

export const nginxPeers: readonly PeerDefinition[] = [
  {
    name: "nginx",
    short: "nginx",
    title: "nginx: bare, no access log",
    missing: () => missingTool("nginx"),
    version,
    start: (surroundings) => start(surroundings, "", `  access_log off;\n${servers(surroundings, plainHeaders, null)}`),
  },
  {
    name: "nginx-log",
    short: "nginx + log",
    title: "nginx: access log and forwarded headers",
    missing: () => missingTool("nginx"),
    version,
    start: (surroundings) => start(surroundings, "", accessLog + servers(surroundings, forwardedHeaders, null)),
  },
  {
    name: "ingress-nginx",
    short: "ingress-nginx",
    title: "ingress-nginx's shape: Lua balancer and metrics, access log, its headers",
    missing: () => missingTool("nginx") ?? missingLua(),
    version,
    start: (surroundings) => {
      const modules = ["ndk_http_module", "ngx_http_lua_module"].map(
        (name) => `load_module ${luaModules}/${name}.so;\n`,
      );
      const balancer = luaBalancer(surroundings.backendPort, servicesOf(surroundings.site));
      const http = accessLog + balancer + servers(surroundings, forwardedHeaders, "upstream_balancer");
      return start(surroundings, modules.join(""), http);
    },
  },
];

function version(): string {
  return `nginx ${toolVersion("nginx")}`;
}

/** All go through `balancer`, or each Service through an upstream of its own when that is null. */
function servers(surroundings: Surroundings, headers: readonly string[], balancer: string | null): string {
  const { site, backendPort, httpPort, httpsPort, certificate } = surroundings;
  const upstreams = servicesOf(site).map(
    (name) => `  upstream ${name} {
    server 127.0.0.1:${backendPort};
    keepalive 320;
    keepalive_requests 1000000000;
  }
`,
  );
  const routes = Map.groupBy(routesOf(site), ({ host }) => host);
  const [set, pass] =
    site.protocol === "grpc" ? ["grpc_set_header", "grpc_pass grpc"] : ["proxy_set_header", "proxy_pass http"];
  const connection = site.protocol === "grpc" ? [] : ['Connection ""'];
  const shared = [...headers, ...connection].map((header) => `    ${set} ${header};\n`).join("");
  const location = ({ host, path, service }: SiteRoute): string => {
    const lua =
      balancer === null
        ? ""
        : `      set $namespace bench;
      set $ingress_name ${host.split(".")[0]};
      set $service_name ${service};
      log_by_lua_block {\n${luaMetrics}      }\n`;
    return `    location ${path} {\n${lua}      ${pass}://${balancer ?? service};\n    }\n`;
  };
  const blocks = hostsOf(site).map(
    (host) => `  server {
    listen 127.0.0.1:${httpPort} backlog=16384;
    listen 127.0.0.1:${httpsPort} ssl http2 backlog=16384;
    server_name ${host};
${shared}${(routes.get(host) ?? []).map(location).join("")}  }
`,
  );
  // A backlog is given once for an address.
  const listening = blocks.map((block, index) => (index === 0 ? block : block.replaceAll(" backlog=16384", "")));
  const tls = `  ssl_certificate ${certificate.certificateFile};
  ssl_certificate_key ${certificate.keyFile};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:SSL:10m;
`;
  return [tls, ...(balancer === null ? upstreams : []), ...listening].join("");
}

async function start(surroundings: Surroundings, modules: string, http: string) {
  const { directory, cores, site } = surroundings;
  return { process: startNginx(cores, directory, http, { modules, connections: site.connections }), update: null };
}

/** Also the backend's. */
export function startNginx(
  cores: string,
  directory: string,
  http: string,
  { modules = "", connections = 4096 }: { modules?: string; connections?: number } = {},
): Pinned {
  const file = join(directory, "nginx.conf");
  writeFileSync(
    file,
    `${modules}daemon off;
worker_processes 1;
pid ${join(directory, "pid")};
error_log stderr warn;
events { worker_connections ${connections}; }
http {
  client_body_temp_path ${join(directory, "body")};
  proxy_temp_path ${join(directory, "proxy")};
  fastcgi_temp_path ${join(directory, "fastcgi")};
  uwsgi_temp_path ${join(directory, "uwsgi")};
  scgi_temp_path ${join(directory, "scgi")};
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  default_type text/plain;
  server_names_hash_bucket_size 128;
  variables_hash_max_size 2048;
${http}}
`,
  );
  return startPinned(cores, ["nginx", "-p", directory, "-c", file]);
}
