/**
 * What every peer of the benchmark routes: a few hosts with a few paths each over a few Services, all of which lead to one
 * backend. One description, written as manifests, as nginx configuration, as http-proxy's table and as wrk's script.
 */

/** What the backend answers. */
export const body = `${"a hundred bytes of answer, ".repeat(4).slice(0, 99)}\n`;

interface BenchRoute {
  readonly host: string;
  readonly path: string;
  readonly service: string;
}

const hosts = Array.from({ length: 10 }, (_, index) => `app-${index}.example.com`);
const paths = ["/", "/api/v1", "/assets", "/login"];
const services = Array.from({ length: 5 }, (_, index) => `service-${index}`);

export const routes: readonly BenchRoute[] = hosts.flatMap((host, hostIndex) =>
  paths.map((path, index) => ({ host, path, service: `service-${(hostIndex + index) % services.length}` })),
);

/** What is asked for: below each route's path. */
export const requests = routes.map(({ host, path }) => ({
  host,
  target: `${path === "/" ? "" : path}/items/12345?page=2`,
}));

export function manifests(backendPort: number): string {
  return [...services.flatMap((name) => service(name, backendPort)), ...hosts.map(ingress)].join("---\n");
}

function service(name: string, backendPort: number): string[] {
  return [
    `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: bench
spec:
  ports:
    - port: 80
`,
    `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-1
  namespace: bench
  labels:
    kubernetes.io/service-name: ${name}
addressType: IPv4
ports:
  - port: ${backendPort}
endpoints:
  - addresses: ["127.0.0.1"]
`,
  ];
}

function ingress(host: string): string {
  const rules = routes
    .filter((route) => route.host === host)
    .map(
      ({ path, service: name }) => `          - path: ${path}
            pathType: Prefix
            backend:
              service:
                name: ${name}
                port:
                  number: 80
`,
    );
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: ${host.split(".")[0]}
  namespace: bench
spec:
  ingressClassName: sluice
  rules:
    - host: ${host}
      http:
        paths:
${rules.join("")}`;
}

/** nginx's upstreams and servers for the routes. `proxy` is put into every location. */
export function nginxServers(port: number, backendPort: number, proxy: string): string {
  const upstreams = services.map(
    (name) => `  upstream ${name} {
    server 127.0.0.1:${backendPort};
    keepalive 64;
    keepalive_requests 1000000000;
  }
`,
  );
  const servers = hosts.map((host) => {
    const locations = routes
      .filter((route) => route.host === host)
      .map((route) => `    location ${route.path} {\n      proxy_pass http://${route.service};\n${proxy}    }\n`);
    return `  server {\n    listen 127.0.0.1:${port};\n    server_name ${host};\n${locations.join("")}  }\n`;
  });
  return [...upstreams, ...servers].join("");
}

/** For wrk: the requests in turn, each made once. */
export function wrkScript(): string {
  const formats = requests.map(
    ({ host, target }) => `  wrk.format("GET", ${JSON.stringify(target)}, { ["Host"] = ${JSON.stringify(host)} }),\n`,
  );
  return `local requests = {}
local next = 0
init = function()
  requests = {
${formats.join("").replaceAll("\n  ", "\n    ").replace(/^ {2}/, "    ")}  }
end
request = function()
  next = next % ${requests.length} + 1
  return requests[next]
end
`;
}
