/**
 * The credentials that Kubernetes puts into every Pod: the address in two variables, the token and the authority in files.
 * Both files are replaced under way (a token lives for an hour), so they are read before every request, which costs
 * nothing beside the request. The client library's own way is not taken here: it keeps a token for a minute after it was
 * refused, and loading it takes 80 MB.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { Credentials, Environment } from "./credentials.ts";

export const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Null outside of a Pod. */
export function inCluster(environment: Environment, directory: string): Credentials | null {
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "" } = environment;
  const file = (name: string): string => join(directory, name);
  if (host === "" || port === "" || readIfAny(file("token")) === null) return null;
  const server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
  return {
    origin: "the Pod's ServiceAccount",
    namespace: readIfAny(file("namespace")),
    access: async () => {
      const [token, ca] = await Promise.all([readFile(file("token"), "utf8"), readFile(file("ca.crt"), "utf8")]);
      return { server, headers: { Authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    },
    renew: () => undefined,
  };
}

function readIfAny(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}
