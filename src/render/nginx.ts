/**
 * A Snapshot as configuration for stock nginx, which then behaves as Sluice does. The Snapshot becomes typed directives
 * first, the templates lay those out, and quote.ts turns every value into text. Nothing here reads a file: template
 * texts, keys and settings are arguments, and the result is a list of files.
 */
import { compareText } from "../model/problem.ts";
import type { Authority, PrivateKeys, Snapshot, Upstream } from "../model/snapshot.ts";
import { balanceDifferences, writeBalance } from "./balance.ts";
import type { Configuration, Note, UpstreamBlock } from "./configuration.ts";
import { layOut, type Templates } from "./layout.ts";
import { authorityFile, certificateFile, endpointAddress, upstreamName } from "./names.ts";
import { namedHosts } from "./passthrough.ts";
import { isUsable } from "./routes.ts";
import { type Only, selectPart } from "./select.ts";
import { writeServers } from "./servers.ts";
import { inexpressibleSettings, type RenderSettings } from "./settings.ts";

export interface RenderInput {
  readonly snapshot: Snapshot;
  readonly keys: PrivateKeys;
  readonly settings: RenderSettings;
  /** The files of templates/ by name, such as "nginx.conf.ejs". */
  readonly templates: Templates;
  /** The certificate for names that have none, as PEM; null: TLS handshakes for such names are refused. */
  readonly selfSigned: { readonly chain: string; readonly key: string } | null;
  readonly only?: Only;
}

export interface RenderedFile {
  /** Relative to the directory that nginx is started in (`nginx -p DIRECTORY -c nginx.conf`). */
  readonly path: string;
  readonly mode: 0o600;
  readonly content: string;
}

export interface Rendering {
  /** nginx.conf first, then certificates and keys. */
  readonly files: readonly RenderedFile[];
  /** Where nginx.conf differs from what Sluice serves; the same reasons stand in the file. */
  readonly notes: readonly Note[];
}

/** Equal Snapshots give equal bytes. Throws only on a bug of ours or of a template. */
export function renderNginx(input: RenderInput): Rendering {
  const { keys, settings, templates, selfSigned } = input;
  const snapshot = input.only === undefined ? input.snapshot : selectPart(input.snapshot, input.only);
  const pairs = keyPairs(snapshot, keys);
  const { configuration, notes } = configure(snapshot, keys);
  const fallback = pairs.get(snapshot.defaultCertificate ?? "")?.path ?? null;
  const certificate = fallback ?? (selfSigned === null ? null : selfSignedFile);
  const files = [file("nginx.conf", layOut(configuration, settings, certificate, templates))];
  for (const { path, chain, key } of pairs.values()) {
    files.push(file(`${path}.crt`, chain), file(`${path}.key`, key));
  }
  for (const { path, chain, revoked } of authorityFiles(snapshot).values()) {
    files.push(file(path, chain));
    if (revoked !== undefined) files.push(file(revokedFile(path), revoked));
  }
  if (fallback === null && selfSigned !== null) {
    files.push(file(`${selfSignedFile}.crt`, selfSigned.chain), file(`${selfSignedFile}.key`, selfSigned.key));
  }
  const general = inexpressibleSettings(settings, configuration).map((reason) => ({
    ingress: "",
    place: "all servers",
    reason,
  }));
  return { files, notes: [...general, ...notes] };
}

/** The directives that a Snapshot becomes, before they are text. */
export function configure(
  snapshot: Snapshot,
  keys: PrivateKeys,
): {
  readonly configuration: Configuration;
  readonly notes: readonly Note[];
} {
  const upstreams = new Map(snapshot.upstreams.map((upstream) => [upstream.key, upstream]));
  const pairs = keyPairs(snapshot, keys);
  const authorities = authorityFiles(snapshot);
  const speaksGrpc = snapshot.upstreams.some(({ protocol }) => protocol === "grpc" || protocol === "grpcs");
  const { servers, maps, notes } = writeServers(
    snapshot,
    {
      upstreams,
      speaksGrpc,
      files: {
        pair: (fingerprint) => pairs.get(fingerprint)?.path ?? null,
        authority: (fingerprint) => authorities.get(fingerprint)?.path ?? null,
      },
    },
    (fingerprint) => pairs.get(fingerprint)?.path ?? null,
    (fingerprint) => {
      const found = authorities.get(fingerprint);
      if (found === undefined) return null;
      return { chain: found.path, revoked: found.revoked === undefined ? null : revokedFile(found.path) };
    },
  );
  const asksClients = snapshot.hosts.some(({ clientAuth }) => clientAuth !== undefined);
  const blocks = writeUpstreams([...upstreams.values()]);
  const told = [...notes, ...upstreamNotes([...upstreams.values()])];
  return {
    configuration: {
      speaksGrpc,
      asksClients,
      maps,
      upstreams: blocks,
      servers,
      streams: snapshot.streams,
      namedHosts: namedHosts(snapshot),
    },
    notes: told,
  };
}

interface KeyPair {
  /** Of the files, without extension. */
  readonly path: string;
  readonly chain: string;
  readonly key: string;
}

/** The certificates that can be served or shown, by fingerprint. nginx does not start when a file of a pair is missing. */
function keyPairs(snapshot: Snapshot, keys: PrivateKeys): ReadonlyMap<string, KeyPair> {
  const pairs = new Map<string, KeyPair>();
  for (const { fingerprint, chain } of [...snapshot.certificates, ...snapshot.clientCertificates]) {
    const path = certificateFile(fingerprint);
    const key = keys.get(fingerprint);
    if (path !== null && key !== undefined) {
      pairs.set(fingerprint, { path, chain, key });
    }
  }
  return pairs;
}

interface AuthorityFile extends Pick<Authority, "chain" | "revoked"> {
  readonly path: string;
}

function authorityFiles({ authorities }: Snapshot): ReadonlyMap<string, AuthorityFile> {
  const files = new Map<string, AuthorityFile>();
  for (const authority of authorities) {
    const path = authorityFile(authority.fingerprint);
    if (path !== null) files.set(authority.fingerprint, { ...authority, path });
  }
  return files;
}

/** Beside the certificates of the authorities. */
function revokedFile(path: string): string {
  return path.replace(/\.ca\.crt$/, ".crl");
}

const selfSignedFile = "certs/self-signed";

function file(path: string, content: string): RenderedFile {
  return { path, mode: 0o600, content };
}

function upstreamNotes(upstreams: readonly Upstream[]): readonly Note[] {
  const notes = upstreams.filter(isUsable).flatMap(({ service, options }) => {
    const place = `Service ${service.namespace}/${service.name}:${service.port}`;
    return balanceDifferences(options).map((reason) => ({ ingress: "", place, reason }));
  });
  // Ingresses that ask different things of a Service have an upstream of it each, and some of what they ask alike.
  return [...new Map(notes.map((note) => [`${note.place} ${note.reason}`, note])).values()];
}

/** nginx refuses an upstream without endpoints; the locations that lead to one answer 503. */
function writeUpstreams(upstreams: readonly Upstream[]): readonly UpstreamBlock[] {
  return upstreams
    .filter(isUsable)
    .map((upstream) => {
      const { options, endpoints } = upstream;
      const name = upstreamName(upstream.key);
      const addresses = endpoints.map((endpoint) => ({ endpoint, address: endpointAddress(endpoint) }));
      return {
        name,
        comments: [
          ...balanceDifferences(options),
          ...addresses
            .filter(({ address }) => address === null)
            .map(({ endpoint }) => `left out, for it is no address and port: ${endpoint.address} ${endpoint.port}`),
        ],
        directives: writeBalance(upstream, name),
        endpoints: addresses.flatMap(({ address }) => (address === null ? [] : [address])),
      };
    })
    .sort((a, b) => compareText(a.name, b.name));
}
