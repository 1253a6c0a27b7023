/** The sample manifests of the demo: files to read and to edit, so they are written as a user would write them. */
import type { DemoService } from "./upstreams.ts";

export interface DemoCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** File names with their text. Endpoints are apart (endpointsManifest), for they are rewritten all the time. */
export function sampleManifests(tls: DemoCertificate): ReadonlyMap<string, string> {
  return new Map([
    ["services.yaml", `${[service("web"), service("api"), service("echo")].join("---\n")}`],
    ["shop.yaml", shop],
    ["api.yaml", api],
    ["echo.yaml", echo],
    ["old.yaml", old],
    ["shop-tls.yaml", secret(tls)],
  ]);
}

/** The EndpointSlice of a Service whose replicas listen on these ports of 127.0.0.1: one slice a port, for a slice has one. */
export function endpointsManifest(name: DemoService, ports: readonly number[]): string {
  return ports
    .map(
      (port, index) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-${index + 1}
  namespace: demo
  labels:
    kubernetes.io/service-name: ${name}
addressType: IPv4
ports:
  - name: http
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
      secretName: shop-tls
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

function secret(tls: DemoCertificate): string {
  return `# Made for this directory by sluice demo; certificate.pem beside it is what a client has to trust.
apiVersion: v1
kind: Secret
metadata:
  name: shop-tls
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
