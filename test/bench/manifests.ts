/** A site as Kubernetes manifests: Services, EndpointSlices, Ingresses and the certificate's Secret. */
import type { Certificate } from "./certificate.ts";
import { hostsOf, routesOf, type Site, type SiteRoute, servicesOf } from "./site.ts";

/** Ingresses in one file; a file of all 10,000 would be parsed as one document list of 25 MB. */
const ingressesPerFile = 500;

/** File names and what stands in them. */
export function manifestFiles(site: Site, backendPort: number, certificate: Certificate): Map<string, string> {
  const files = new Map([["secret.yaml", secret(certificate)]]);
  const services = servicesOf(site);
  files.set("services.yaml", services.map(service).join("---\n"));
  if (site.slicePerFile) {
    for (const name of services) files.set(sliceFile(name), endpointSlice(name, "127.0.0.1", backendPort));
  } else {
    const slices = services.map((name) => endpointSlice(name, "127.0.0.1", backendPort));
    files.set("slices.yaml", slices.join("---\n"));
  }
  const routes = Map.groupBy(routesOf(site), ({ host }) => host);
  const ingresses = hostsOf(site).map((host) => ingress(host, routes.get(host) ?? [], site.protocol));
  for (let from = 0; from < ingresses.length; from += ingressesPerFile) {
    const some = ingresses.slice(from, from + ingressesPerFile);
    files.set(`ingresses-${from / ingressesPerFile}.yaml`, some.join("---\n"));
  }
  return files;
}

export function sliceFile(serviceName: string): string {
  return `slice-${serviceName}.yaml`;
}

export function endpointSlice(serviceName: string, address: string, port: number): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${serviceName}-1
  namespace: bench
  labels:
    kubernetes.io/service-name: ${serviceName}
addressType: IPv4
ports:
  - port: ${port}
endpoints:
  - addresses: ["${address}"]
`;
}

function service(name: string): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: bench
spec:
  ports:
    - port: 80
`;
}

function secret({ certificate, key }: Certificate): string {
  return `apiVersion: v1
kind: Secret
metadata:
  name: certificate
  namespace: bench
type: kubernetes.io/tls
data:
  tls.crt: ${Buffer.from(certificate).toString("base64")}
  tls.key: ${Buffer.from(key).toString("base64")}
`;
}

function ingress(host: string, routes: readonly SiteRoute[], protocol: Site["protocol"]): string {
  const annotations =
    protocol === "grpc" ? "  annotations:\n    nginx.ingress.kubernetes.io/backend-protocol: GRPC\n" : "";
  const rules = routes.map(
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
${annotations}spec:
  ingressClassName: sluice
  tls:
    - hosts: [${host}]
      secretName: certificate
  rules:
    - host: ${host}
      http:
        paths:
${rules.join("")}`;
}
