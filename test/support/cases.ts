/**
 * The corpus of test/cases: one directory an idea, with manifests as a user would write them and the requests that prove
 * it. The types below say what requests.yaml holds, field by field; case-reader.ts reads it.
 *
 * Manifests name addresses as a cluster would (10.1.0.1:8080). requests.yaml says which upstream of the test stands
 * behind an address, and the harness moves the endpoints of the translated Snapshot to the port on which it runs.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";
import { parse } from "yaml";
import { readCase } from "./case-reader.ts";

export interface Case {
  readonly name: string;
  readonly about: string;
  readonly manifests: string;
  /** Where the manifests were read, for messages. */
  readonly file: string;
  /** Fields of Settings that differ from the defaults. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly upstreams: readonly CaseUpstream[];
  /** `namespace/name` of TLS Secrets that the harness makes. */
  readonly secrets: ReadonlyMap<string, CaseSecret>;
  /** Secrets with authorities for client certificates, by `namespace/name`. */
  readonly authorities: ReadonlyMap<string, CaseAuthority>;
  /** The certificates that clients may show, by name. */
  readonly clients: ReadonlyMap<string, CaseClient>;
  /** Addresses by external name, in place of DNS. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  /** Codes of the Problems that translation must find, each as often as it stands here. */
  readonly problems: readonly string[];
  readonly requests: readonly CaseRequest[];
}

export interface CaseSecret {
  /** DNS names of the certificate. */
  readonly names: readonly string[];
  readonly keyType: "ec" | "rsa";
}

export interface CaseAuthority {
  /** Names of clients on the revocation list; null: there is no list. */
  readonly revokes: readonly string[] | null;
}

export interface CaseClient {
  /** The authority that has issued it; null: one that nobody knows. */
  readonly from: string | null;
  readonly commonName: string;
  readonly organization: string | null;
  readonly expired: boolean;
  /** Authorities between that one and the certificate. */
  readonly intermediates: number;
}

export interface CaseUpstream {
  readonly name: string;
  /** "10.1.0.1:8080", as the manifests have it. */
  readonly addresses: readonly string[];
  readonly tls: boolean;
  /** DNS names of its certificate, which the root of the tests has signed; empty: a self-signed one. */
  readonly certificate: readonly string[];
  /** It speaks HTTP/2, by prior knowledge where there is no TLS. */
  readonly http2: boolean;
  /** What it agrees to in a handshake. */
  readonly offers: TlsOffer;
  /** It takes no client without a certificate of that root. */
  readonly demandsCertificate: boolean;
  /** Nothing listens there. */
  readonly refuses: boolean;
}

export type HeaderList = readonly (readonly [string, string])[];

export interface CaseRequest {
  /** `name` of the request, or its method and target. */
  readonly label: string;
  /** Where it stands in requests.yaml. */
  readonly place: string;
  readonly send: SentRequest;
  readonly reply: UpstreamReply;
  /** What the upstream must have seen; null: no upstream was asked. */
  readonly upstream: ExpectedUpstream | null;
  readonly answer: ExpectedAnswer;
}

export interface SentRequest {
  /** All bytes of the request, where the fields below cannot say it; null otherwise. */
  readonly raw: string | null;
  /** Sent before anything else of the connection, one character a byte: a PROXY protocol header; "" for none. */
  readonly preamble: string;
  readonly scheme: "http" | "https";
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** "2" over TLS alone. */
  readonly version: "1.0" | "1.1" | "2";
  /** The Host field, which is :authority in HTTP/2; null: none. */
  readonly host: string | null;
  /** TLS server name; "" for none. */
  readonly serverName: string;
  /** The certificate shown, by its name under `clients`; null: none. */
  readonly client: string | null;
  /** The algorithms in which the server may sign, as OpenSSL lists them; null: OpenSSL's own list. */
  readonly signatures: string | null;
  /** What else the client offers in the handshake. */
  readonly offers: TlsOffer;
  readonly headers: HeaderList;
  /** Sent with Content-Length; null: no body. Written as `body`, or as `bodyBytes` for a long one. */
  readonly body: string | null;
  /** Sent chunked, each as one chunk. */
  readonly chunks: readonly string[] | null;
  readonly trailers: HeaderList;
  /** The body is sent when 100 (Continue) has come, or not at all. */
  readonly waitForContinue: boolean;
  /** Requests of a case with the same label are sent on one connection. */
  readonly connection: string | null;
  /** Sent without waiting for the answer to the one before it on the connection. */
  readonly pipelined: boolean;
  /** Sent through the tunnel after 101; the upstream sends everything back. */
  readonly tunnel: string | null;
}

/** What one side of a handshake takes, each null: what Node does. */
export interface TlsOffer {
  /** The only one: "TLSv1.2". */
  readonly version: SecureVersion | null;
  /** As OpenSSL lists them. */
  readonly ciphers: string | null;
  readonly curves: string | null;
}

export interface UpstreamReply {
  readonly status: number;
  readonly headers: HeaderList;
  /** Sent with Content-Length. */
  readonly body: string;
  readonly chunks: readonly string[] | null;
  readonly trailers: HeaderList;
  /** 1xx responses sent first. */
  readonly interim: readonly { readonly status: number; readonly headers: HeaderList }[];
  /** All bytes of the response, in place of the above. */
  readonly raw: string | null;
  /** The connection ends with the response, which frames its body when nothing else does. */
  readonly close: boolean;
  /** No answer at all; the connection stays open. */
  readonly silent: boolean;
  /** HTTP/2: the stream is reset behind what comes of the answer. */
  readonly reset: boolean;
}

export interface ExpectedUpstream {
  readonly name: string;
  readonly method: string;
  readonly target: string;
  /** "HTTP/2" where the upstream speaks it. */
  readonly version: string;
  /** Values by lower-case name, several joined by ", "; null: the header must be absent. `<id>`, `<port>`: see exchange.ts. */
  readonly headers: ReadonlyMap<string, string | null>;
  readonly body: string;
  readonly trailers: ReadonlyMap<string, string | null>;
  /** TLS server name that the upstream was asked for; null: not looked at. */
  readonly serverName: string | null;
}

export interface ExpectedAnswer {
  /** 0: none. */
  readonly status: number;
  /** Why there is no answer, as the client sees it; null: there is one. */
  readonly failed: string | null;
  readonly headers: ReadonlyMap<string, string | null>;
  /** null: not looked at. */
  readonly body: string | null;
  readonly trailers: ReadonlyMap<string, string | null>;
  readonly interim: readonly number[];
  /** First DNS name of the certificate served; "self-signed" for the default one; null: not looked at. */
  readonly certificate: string | null;
  /** "ec" or "rsa", of the key of that certificate; null: not looked at. */
  readonly certificateKey: string | null;
  /** Version and cipher of TLS: "TLSv1.3 TLS_AES_128_GCM_SHA256"; null: not looked at. */
  readonly handshake: string | null;
  /** What came back through the tunnel. */
  readonly tunnel: string | null;
}

/** Every case, by name. Throws with file and field when one breaks the schema. */
export function loadCases(): readonly Case[] {
  const directory = join(import.meta.dirname, "..", "cases");
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .map((name) => loadCase(join(directory, name), name));
}

function loadCase(directory: string, name: string): Case {
  const text = readFileSync(join(directory, "requests.yaml"), "utf8");
  return readCase(parse(text), {
    name,
    manifests: readFileSync(join(directory, "manifests.yaml"), "utf8"),
    file: `test/cases/${name}/manifests.yaml`,
  });
}
