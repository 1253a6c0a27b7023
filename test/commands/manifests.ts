/** Manifests as the tests of commands write them: one Ingress, its Service and its endpoints. */

/** Everything under `path` of `host` goes to these ports of 127.0.0.1. */
export function shopManifests(ports: readonly number[], path = "/", host = "shop.example"): string {
  return [ingressManifest(path, host), serviceManifest, ...ports.map(sliceManifest)].join("---\n");
}

export function ingressManifest(path = "/", host = "shop.example", annotations = "{}"): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: demo
  annotations: ${annotations}
spec:
  ingressClassName: sluice
  rules:
    - host: ${host}
      http:
        paths:
          - path: ${path}
            pathType: Prefix
            backend: { service: { name: web, port: { number: 80 } } }
`;
}

export const serviceManifest = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: demo }
spec:
  selector: { app: web }
  ports: [{ port: 80 }]
`;

export function sliceManifest(port: number): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-${port}
  namespace: demo
  labels: { kubernetes.io/service-name: web }
addressType: IPv4
ports: [{ port: ${port} }]
endpoints: [{ addresses: ["127.0.0.1"] }]
`;
}
