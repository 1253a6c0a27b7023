/** TLS to an upstream as directives: which certificate nginx shows, whom it believes, and under which name. */
import type { Directive } from "../features/feature.ts";
import type { Upstream } from "../model/snapshot.ts";
import { sentName, tlsName, tlsVersions, type UpstreamTls } from "../model/upstream-tls.ts";

/** Paths of what is rendered beside nginx.conf, by fingerprint; null: there is no such file, and nginx must not look for it. */
export interface TlsFiles {
  /** Of a certificate and its key, without extension. */
  readonly pair: (fingerprint: string) => string | null;
  readonly authority: (fingerprint: string) => string | null;
}

/** By the names of the proxy's module. */
export function writeUpstreamTls(upstream: Upstream, files: TlsFiles): readonly Directive[] {
  const { tls } = upstream.options;
  const sent = sentName(upstream);
  const directives: Directive[] = [];
  if (sent !== null) directives.push(directive("proxy_ssl_server_name", "on"));
  if (sent !== null || tls?.verify === true) directives.push(directive("proxy_ssl_name", tlsName(upstream)));
  return tls === undefined ? directives : [...directives, ...writeCertificates(tls, files), ...writeChoices(tls)];
}

function writeCertificates(tls: UpstreamTls, files: TlsFiles): readonly Directive[] {
  const { certificate, authority, verify, verifyDepth } = tls;
  const directives: Directive[] = [];
  const pair = certificate === null ? null : files.pair(certificate);
  if (pair !== null) {
    directives.push(
      directive("proxy_ssl_certificate", `${pair}.crt`),
      directive("proxy_ssl_certificate_key", `${pair}.key`),
    );
  }
  if (!verify) return directives;
  const trusted = authority === null ? null : files.authority(authority);
  // Without authorities nothing may pass, and nginx would not start: such a route is closed by translation.
  if (trusted === null) return [...directives, directive("return", "503")];
  return [
    ...directives,
    directive("proxy_ssl_trusted_certificate", trusted),
    directive("proxy_ssl_verify", "on"),
    directive("proxy_ssl_verify_depth", String(verifyDepth)),
  ];
}

function writeChoices({ protocols, ciphers }: UpstreamTls): readonly Directive[] {
  const versions = protocols.length === 0 ? tlsVersions.slice(-2) : protocols;
  const directives = [{ name: "proxy_ssl_protocols", args: versions }];
  return ciphers === "" ? directives : [...directives, directive("proxy_ssl_ciphers", ciphers)];
}

function directive(name: string, value: string): Directive {
  return { name, args: [value] };
}
