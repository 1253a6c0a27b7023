/** The sample manifests of the demo: files to read and to edit, so they are written as a user would write them. */
import type { DemoService } from "./upstreams.ts";

export interface DemoCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** The hosts that the certificate is for. */
export const tlsHosts = ["shop.localhost", "chat.localhost", "grpc.localhost"];

/** The file of the certificate and its key, and that of the ports that are not HTTP's. */
export const tlsFile = "demo-tls.yaml";
export const streamsFile = "streams.yaml";

/** The ConfigMaps of TCP and UDP services. */
export const tcpServices = "demo/tcp-services";
export const udpServices = "demo/udp-services";

/**
 * File names with their text; `streamPort` is where TCP and UDP come in. Endpoints are apart (endpointsManifest), for they are
 * rewritten all the time.
 */
export function sampleManifests(tls: DemoCertificate, streamPort: number): ReadonlyMap<string, string> {
  const names = ["web", "api", "echo", "chat", "greeter"] as const;
  return new Map([
    ["services.yaml", [...names.map(service), shoutService].join("---\n")],
    ["shop.yaml", shop],
    ["api.yaml", api],
    ["echo.yaml", echo],
    ["old.yaml", old],
    ["chat.yaml", chat],
    ["grpc.yaml", grpc],
    [streamsFile, streams(streamPort)],
    [tlsFile, secret(tls)],
  ]);
}

/** The port that streams.yaml opens, as the user may have changed it; null: it has none. */
export function streamPortOf(text: string): number | null {
  const found = /^ *"?(\d+)"?: *"?demo\/shout:/m.exec(text);
  return found === null ? null : Number(found[1]);
}

interface ServicePort {
  readonly name: "http" | "tcp" | "udp";
  readonly protocol: "TCP" | "UDP";
}

const httpPort: ServicePort = { name: "http", protocol: "TCP" };

/** The EndpointSlices of shout, which has a port of each protocol. */
export function shoutEndpoints(tcp: number, udp: number): string {
  const slices = [
    endpointsManifest("shout", [tcp], { name: "tcp", protocol: "TCP" }),
    endpointsManifest("shout", [udp], { name: "udp", protocol: "UDP" }),
  ];
  return slices.join("---\n");
}

/** The EndpointSlices of a Service whose replicas listen on these ports of 127.0.0.1: one slice a port, for a slice has one. */
export function endpointsManifest(name: DemoService, ports: readonly number[], of = httpPort): string {
  return ports
    .map(
      (port, index) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-${of === httpPort ? index + 1 : of.name}
  namespace: demo
  labels:
    kubernetes.io/service-name: ${name}
addressType: IPv4
ports:
  - name: ${of.name}
    protocol: ${of.protocol}
    port: ${port}
endpoints:
  - addresses: ["127.0.0.1"]
`,
    )
    .join("---\n");
}

function service(name: DemoService): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: demo
spec:
  selector:
    app: ${name}
  ports:
    - name: http
      port: 80
`;
}

const shoutService = `apiVersion: v1
kind: Service
metadata:
  name: shout
  namespace: demo
spec:
  selector:
    app: shout
  ports:
    - name: tcp
      port: 7
    - name: udp
      protocol: UDP
      port: 7
`;

const shop = `# One host over HTTP and HTTPS. Try another path, another host, or another Service here and save.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: demo
spec:
  ingressClassName: sluice
  tls:
    - hosts: ["shop.localhost"]
      secretName: demo-tls
  rules:
    - host: shop.localhost
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: web
                port:
                  name: http
`;

const api = `# Annotations of ingress-nginx work as they stand. One of them has a slip of the pen, which Sluice reports.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: api
  namespace: demo
  annotations:
    nginx.ingress.kubernetes.io/enable-cors: "true"
    nginx.ingress.kubernetes.io/cors-allow-origin: "https://app.example"
    nginx.ingress.kubernetes.io/proxy-body-sise: 8m
spec:
  ingressClassName: sluice
  rules:
    - host: api.localhost
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: api
                port:
                  number: 80
`;

const echo = `# The part of the path behind /echo is what the upstream sees.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  namespace: demo
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /$2
spec:
  ingressClassName: sluice
  rules:
    - host: shop.localhost
      http:
        paths:
          - path: /echo(/|$)(.*)
            pathType: ImplementationSpecific
            backend:
              service:
                name: echo
                port:
                  name: http
`;

const old = `# A host that has moved away.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: old
  namespace: demo
  annotations:
    nginx.ingress.kubernetes.io/permanent-redirect: https://kubernetes.io/docs/concepts/services-networking/ingress/
spec:
  ingressClassName: sluice
  rules:
    - host: old.localhost
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: web
                port:
                  name: http
`;

const chat = `# A WebSocket needs nothing but time: it ends after so many seconds of silence, 60 where nothing is said.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: chat
  namespace: demo
  annotations:
    nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
spec:
  ingressClassName: sluice
  tls:
    - hosts: ["chat.localhost"]
      secretName: demo-tls
  rules:
    - host: chat.localhost
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: chat
                port:
                  name: http
`;

const grpc = `# gRPC from clients over TLS, and on to a server that speaks it without.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: grpc
  namespace: demo
  annotations:
    nginx.ingress.kubernetes.io/backend-protocol: GRPC
spec:
  ingressClassName: sluice
  tls:
    - hosts: ["grpc.localhost"]
      secretName: demo-tls
  rules:
    - host: grpc.localhost
      http:
        paths:
          - path: /demo.Greeter
            pathType: Prefix
            backend:
              service:
                name: greeter
                port:
                  name: http
`;

function streams(port: number): string {
  return `# Ports that are not HTTP's, and the Services behind them. Add one, or change a number, and save.
apiVersion: v1
kind: ConfigMap
metadata:
  name: tcp-services
  namespace: demo
data:
  "${port}": demo/shout:tcp
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: udp-services
  namespace: demo
data:
  "${port}": demo/shout:udp
`;
}

function secret(tls: DemoCertificate): string {
  return `# Made for this directory by sluice demo; certificate.pem beside it is what a client has to trust.
apiVersion: v1
kind: Secret
metadata:
  name: demo-tls
  namespace: demo
type: kubernetes.io/tls
stringData:
  tls.crt: |
${indent(tls.certificate)}
  tls.key: |
${indent(tls.key)}
`;
}

function indent(text: string): string {
  return text
    .trim()
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
}
