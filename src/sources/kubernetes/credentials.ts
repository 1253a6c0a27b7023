/**
 * How the API server is reached at this moment. Whoever asks gets the credentials anew before every request, for tokens,
 * certificates and authorities are replaced in their files while we run.
 */
import type { Agent } from "node:http";
import type { ConnectionOptions } from "node:tls";

export interface Access {
  /** With the prefix of all paths, if it has one. */
  readonly server: URL;
  /** Such as Authorization. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Pick<
    ConnectionOptions,
    "ca" | "cert" | "key" | "pfx" | "passphrase" | "servername" | "rejectUnauthorized"
  >;
  /** Set where a proxy stands before the API server. */
  readonly agent?: Agent;
}

export interface Credentials {
  /** Where they come from, for the log. */
  readonly origin: string;
  /** The namespace that they are made for; null when they do not say. */
  readonly namespace: string | null;
  /** Rejects when they cannot be read. */
  access(): Promise<Access>;
  /** The server does not accept them: whatever was kept is to be read or asked for anew. */
  renew(): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;
