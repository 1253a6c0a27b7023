/** A kubeconfig: where the API server is, whom to trust there, and who we are. */
import type { Identity } from "./credentials.ts";

/** The text; JSON, which every reader of kubeconfig files takes since it is YAML too. */
export function kubeconfigText(server: string, authority: string, identity: Identity): string {
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server, "certificate-authority-data": base64(authority) } }],
      users: [{ name: "test", user: userOf(identity) }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test",
    },
    null,
    2,
  )}\n`;
}

function userOf(identity: Identity): Readonly<Record<string, string>> {
  switch (identity.kind) {
    case "token":
      return { token: identity.token };
    case "token-file":
      return { tokenFile: identity.path };
    case "certificate":
      return {
        "client-certificate-data": base64(identity.certificate.cert),
        "client-key-data": base64(identity.certificate.key),
      };
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
