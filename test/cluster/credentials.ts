/**
 * Who the cluster believes: its own certificate authorities, the key that signs the tokens of ServiceAccounts, and the static
 * tokens of the harness itself. Everything is made anew for each cluster.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { type MadeCertificate, makeCertificate } from "../support/pki.ts";

export const tokenIssuer = "https://kubernetes.default.svc.cluster.local";

/** The node that the Pods of the tests run on. */
export const nodeName = "sluice-test-node";

/** How a client says who it is. */
export type Identity =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "token-file"; readonly path: string }
  | { readonly kind: "certificate"; readonly certificate: MadeCertificate };

export interface StaticUser {
  readonly name: string;
  readonly token: string;
  readonly groups: readonly string[];
}

export interface StaticUsers {
  /** May do everything. */
  readonly admin: StaticUser;
  readonly controllerManager: StaticUser;
  /** What the Node authorizer and NodeRestriction take for the kubelet of `nodeName`. */
  readonly kubelet: StaticUser;
}

export function makeStaticUsers(): StaticUsers {
  const user = (name: string, ...groups: string[]) => ({ name, groups, token: randomBytes(24).toString("hex") });
  return {
    admin: user("sluice-test-admin", "system:masters"),
    controllerManager: user("system:kube-controller-manager", "system:masters"),
    kubelet: user(`system:node:${nodeName}`, "system:nodes"),
  };
}

/** The text of kube-apiserver's --token-auth-file. */
export function tokenFileText(users: StaticUsers): string {
  const lines = Object.values(users).map(
    ({ token, name, groups }: StaticUser) => `${token},${name},${name},"${groups.join(",")}"\n`,
  );
  return lines.join("");
}

export function makeAuthority(name: string): MadeCertificate {
  return makeCertificate({ names: [], commonName: name, issuer: "self", isAuthority: true });
}

/** What the API server shows to its clients; valid for the addresses that tests reach it by. */
export function makeServingCertificate(authority: MadeCertificate): MadeCertificate {
  const names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"];
  return makeCertificate({ names, issuer: authority });
}

/** Signs and checks the tokens of ServiceAccounts. */
export class TokenKey {
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  constructor() {
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#private = keys.privateKey;
    this.#public = keys.publicKey;
  }

  get privatePem(): string {
    return this.#private.export({ type: "pkcs8", format: "pem" }).toString();
  }

  get publicPem(): string {
    return this.#public.export({ type: "spki", format: "pem" }).toString();
  }

  /**
   * A ServiceAccount's token as the API server would issue it (RFC 7519; RFC 7518, section 3.4), with times of our choice:
   * TokenRequest issues none for less than ten minutes.
   */
  issue(account: { namespace: string; name: string; uid: string }, issuedAt: number, expiresAt: number): string {
    const claims = {
      iss: tokenIssuer,
      aud: [tokenIssuer],
      sub: `system:serviceaccount:${account.namespace}:${account.name}`,
      iat: Math.floor(issuedAt / 1000),
      nbf: Math.floor(issuedAt / 1000),
      exp: Math.floor(expiresAt / 1000),
      "kubernetes.io": {
        namespace: account.namespace,
        serviceaccount: { name: account.name, uid: account.uid },
      },
    };
    const text = [{ alg: "ES256", typ: "JWT" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const signature = sign("sha256", Buffer.from(text), { key: this.#private, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  }
}
