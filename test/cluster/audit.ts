/** The API server's audit log: who did what, so that a test can say which permissions are used and which are missing. */
import { open, stat } from "node:fs/promises";

export interface AuditEntry {
  /** As in "system:serviceaccount:sluice:sluice". */
  readonly user: string;
  /** As in "get", "list", "watch", "create", "update", "patch", "delete". */
  readonly verb: string;
  /** "" for the core group. */
  readonly group: string;
  /** As in "ingresses" or "ingresses/status"; "" for a path that is no resource. */
  readonly resource: string;
  /** "" for all namespaces and for kinds outside of namespaces. */
  readonly namespace: string;
  /** "" for a list. */
  readonly name: string;
  readonly path: string;
  readonly status: number;
  readonly userAgent: string;
}

/** What the API server writes down: the head of every request, but for its own and its controllers'. */
export const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "None", users: ["system:apiserver", "system:kube-controller-manager"] }, { level: "Metadata" }],
};

interface AuditEvent {
  readonly user: { readonly username: string };
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

export class AuditLog {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Where the log ends now; give it to `entries` to read what comes after. */
  async position(): Promise<number> {
    return (await stat(this.#file)).size;
  }

  /**
   * The requests since a position, in the order of their answers. A watch appears when it begins and again when it ends. An
   * entry may be written a moment after its answer was sent: wait for it.
   */
  async entries(since = 0): Promise<readonly AuditEntry[]> {
    const file = await open(this.#file);
    try {
      const { size } = await file.stat();
      const { buffer } = await file.read(Buffer.alloc(Math.max(0, size - since)), 0, null, since);
      const text = buffer.toString("utf8");
      // The last line may still be on its way.
      const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
      return lines.filter((line) => line !== "").map(entryOf);
    } finally {
      await file.close();
    }
  }
}

function entryOf(line: string): AuditEntry {
  const { user, verb, requestURI, userAgent, objectRef, responseStatus }: AuditEvent = JSON.parse(line);
  const { apiGroup = "", resource = "", subresource, namespace = "", name = "" } = objectRef ?? {};
  return {
    user: user.username,
    verb,
    group: apiGroup,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    path: requestURI,
    status: responseStatus?.code ?? 0,
    userAgent: userAgent ?? "",
  };
}
