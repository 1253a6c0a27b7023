/** Objects that the suites create, as short as a test can read them. */
import type { Manifest } from "./api.ts";

export interface IngressOptions {
  /** Default "sluice". */
  readonly ingressClassName?: string;
  /** Default: a rule for all paths of it. */
  readonly host?: string;
  readonly service: string;
  /** Default 80. */
  readonly port?: number | string;
  /** Name of the Secret for the host. */
  readonly secret?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function ingressManifest(namespace: string, name: string, options: IngressOptions): Manifest {
  const { ingressClassName = "sluice", host = "", service, port = 80, secret, annotations = {} } = options;
  const backend = { service: { name: service, port: typeof port === "number" ? { number: port } : { name: port } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { namespace, name, annotations },
    spec: {
      ingressClassName,
      ...(secret === undefined ? {} : { tls: [{ hosts: [host], secretName: secret }] }),
      rules: [
        {
          ...(host === "" ? {} : { host }),
          http: { paths: [{ path: "/", pathType: "Prefix", backend }] },
        },
      ],
    },
  };
}

/** Selects the Pods whose label app is its name; port 80, called "http" if nothing else is said. */
export function serviceManifest(namespace: string, name: string, port = "http"): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: [{ name: port, port: 80, targetPort: "http" }] },
  };
}

export function tlsSecretManifest(
  namespace: string,
  name: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): Manifest {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { namespace, name },
    stringData: { "tls.crt": cert, "tls.key": key },
  };
}
