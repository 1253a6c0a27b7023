/**
 * The keys of ingress-nginx's ConfigMap that are no settings of Sluice, each with the reason: so that one which does
 * nothing here is told from a misspelt one, and so that a value that asks for what Sluice does anyway is let by.
 */

export interface KnownKey {
  /** Completes "… is not supported: ": what is so instead, and what to do. */
  readonly reason: string;
  /** The values that ask for nothing else than what Sluice does. */
  readonly same: readonly string[];
}

/** Keys with their values that need no support, by the reason why other values have none. */
type Group = readonly [reason: string, keys: Readonly<Record<string, readonly string[]>>];

const none: readonly string[] = [];
const off = ["false"] as const;
const on = ["true"] as const;

const groups: readonly Group[] = [
  [
    "requests are not restricted by it; restrict them by annotations of the Ingresses, and remove it",
    {
      "block-cidrs": none,
      "block-referers": none,
      "block-user-agents": none,
      "denylist-source-range": none,
      "enable-modsecurity": off,
      "enable-owasp-modsecurity-crs": off,
      "global-auth-always-set-cookie": off,
      "global-auth-cache-duration": none,
      "global-auth-cache-key": none,
      "global-auth-method": none,
      "global-auth-request-redirect": none,
      "global-auth-response-headers": none,
      "global-auth-signin": none,
      "global-auth-signin-redirect-param": none,
      "global-auth-snippet": none,
      "global-auth-url": none,
      "modsecurity-snippet": none,
      "no-auth-locations": ["/.well-known/acme-challenge"],
      "ssl-reject-handshake": off,
      "whitelist-source-range": none,
    },
  ],
  [
    "there are no snippets, for text of nginx means nothing here; say it with annotations and settings, and remove it",
    {
      "allow-snippet-annotations": off,
      "annotations-risk-level": none,
      "http-snippet": none,
      "location-snippet": none,
      "main-snippet": none,
      "server-snippet": none,
      "stream-snippet": none,
    },
  ],
  [
    "annotations are parsed, never pasted into a configuration, so no words need to be blocked; remove it",
    { "annotation-value-word-blocklist": none },
  ],
  ["Secrets are taken from the namespace of the Ingress alone; remove it", { "allow-cross-namespace-resources": off }],
  [
    "no headers are added or hidden for all Ingresses; remove it",
    {
      "add-headers": none,
      "global-allowed-response-headers": none,
      "hide-headers": none,
      "proxy-set-headers": none,
    },
  ],
  [
    "the Server field of an upstream is passed on, Sluice's own names no version; remove it",
    { "allow-backend-server-header": on, "server-tokens": off },
  ],
  [
    "Strict-Transport-Security is left to upstreams; remove it",
    { hsts: off, "hsts-include-subdomains": none, "hsts-max-age": none, "hsts-preload": none },
  ],
  [
    "the access log has two formats; set --access-log-format to json or nginx, and remove it",
    {
      "access-log-params": none,
      "access-log-path": ["/var/log/nginx/access.log"],
      "disable-http-access-log": off,
      "disable-stream-access-log": none,
      "enable-access-log-for-default-backend": on,
      "enable-auth-access-log": none,
      "http-access-log-path": none,
      "log-format-escape-json": off,
      "log-format-escape-none": off,
      "log-format-stream": none,
      "log-format-upstream": none,
      "skip-access-log-urls": none,
      "stream-access-log-path": none,
    },
  ],
  [
    "events go to standard error, the access log to standard output; set --log-level and --log-format, and remove it",
    {
      "debug-connections": none,
      "enable-syslog": off,
      "error-log-level": none,
      "error-log-path": ["/var/log/nginx/error.log"],
      "syslog-host": none,
      "syslog-port": none,
    },
  ],
  [
    "TLS sessions are resumed by tickets, at every worker and replica alike, so no cache of them is kept; remove it",
    { "ssl-session-cache": off, "ssl-session-cache-size": none },
  ],
  [
    "no response of a certificate authority is stapled: clients that need one ask for it themselves, and the largest authorities give none any more; remove it",
    { "enable-ocsp": off },
  ],
  [
    "no cipher with a finite-field Diffie-Hellman exchange (DHE) is offered, but those over curves that every client since 2013 has; remove it",
    { "ssl-dh-param": none },
  ],
  [
    "early data can be sent again by anybody who has seen it, and Node has no way to take it; remove it",
    { "ssl-early-data": off },
  ],
  [
    "HTTP/2 has limits for an edge: 100 streams, 32 KiB of header fields, any number of requests; remove it",
    {
      "http2-max-concurrent-streams": ["100"],
      "http2-max-field-size": none,
      "http2-max-header-size": none,
      "http2-max-requests": none,
    },
  ],
  [
    "a head may have 64 KiB and 100 fields, names with an underscore are dropped, malformed fields refused; remove it",
    {
      "client-header-buffer-size": none,
      "enable-underscores-in-headers": off,
      "ignore-invalid-headers": none,
      "large-client-header-buffers": none,
      "proxy-buffer-size": none,
    },
  ],
  [
    "bodies are passed on as they come, with no buffer or file between; remove it",
    {
      "client-body-buffer-size": none,
      "grpc-buffer-size-kb": none,
      "proxy-buffering": ["off"],
      "proxy-buffers-number": none,
      "proxy-busy-buffers-size": none,
      "proxy-max-temp-file-size": none,
      "proxy-request-buffering": ["off"],
    },
  ],
  [
    "a request is tried on another endpoint only when that is safe; remove it",
    {
      "proxy-next-upstream": none,
      "proxy-next-upstream-timeout": none,
      "proxy-next-upstream-tries": none,
      "retry-non-idempotent": off,
    },
  ],
  [
    "upstreams are spoken to in HTTP/1.1 (or HTTP/2, by backend-protocol) over up to 320 idle connections, for 60 s or 10000 requests each; remove it",
    {
      "proxy-http-version": ["1.1"],
      "upstream-keepalive-connections": ["320"],
      "upstream-keepalive-requests": ["10000"],
      "upstream-keepalive-time": none,
      "upstream-keepalive-timeout": ["60"],
    },
  ],
  ["connections of clients are not ended after a number of requests; remove it", { "keep-alive-requests": none }],
  [
    "the redirect to HTTPS is a 308, spares /.well-known/acme-challenge, and is forced by an annotation alone; remove it",
    {
      "force-ssl-redirect": off,
      "http-redirect-code": ["308"],
      "no-tls-redirect-locations": ["/.well-known/acme-challenge"],
      "relative-redirects": off,
    },
  ],
  [
    "the X-Forwarded headers of the networks in proxy-real-ip-cidr are believed while use-forwarded-headers is true; remove it",
    {
      "compute-full-forwarded-for": off,
      "enable-real-ip": off,
      "forwarded-for-header": ["X-Forwarded-For"],
      "forwarded-for-proxy-protocol-header": none,
      "forwarded-host-header": none,
    },
  ],
  [
    "every request gets an X-Request-ID, and none an X-Original-URI; remove it",
    { "generate-request-id": on, "proxy-add-original-uri-header": off },
  ],
  ["whoever says that it takes gzip gets it, whatever it calls itself; remove it", { "gzip-disable": none }],
  [
    "the answers of upstreams are passed on as they are; remove it",
    {
      "custom-http-errors": none,
      "default-type": none,
      "disable-proxy-intercept-errors": none,
      "proxy-cookie-domain": ["off"],
      "proxy-cookie-path": ["off"],
      "proxy-redirect-from": ["off"],
    },
  ],
  [
    "rates are not limited for all Ingresses; remove it",
    {
      "limit-conn-status-code": none,
      "limit-conn-zone-variable": none,
      "limit-rate": ["0"],
      "limit-rate-after": ["0"],
      "limit-req-status-code": none,
    },
  ],
  [
    "requests are not traced; remove it",
    {
      "enable-opentelemetry": off,
      "enable-opentracing": off,
      "opentelemetry-config": none,
      "opentelemetry-operation-name": none,
      "opentelemetry-trust-incoming-span": none,
      "otel-max-export-batch-size": none,
      "otel-max-queuesize": none,
      "otel-sampler": none,
      "otel-sampler-parent-based": none,
      "otel-sampler-ratio": none,
      "otel-schedule-delay-millis": none,
      "otel-service-name": none,
      "otlp-collector-host": none,
      "otlp-collector-port": none,
    },
  ],
  [
    "addresses are not located; remove it",
    { "geoip2-autoreload-in-minutes": none, "use-geoip": off, "use-geoip2": off },
  ],
  ["path types are checked as the API defines them; remove it", { "strict-validate-path-type": none }],
  [
    "both address families are served where the machine has them; set bind-address to keep to one, and remove it",
    { "disable-ipv6": off, "disable-ipv6-dns": off },
  ],
  [
    "it tunes the inside of nginx, which is not here; remove it",
    {
      "enable-aio-write": none,
      "enable-multi-accept": none,
      "enable-serial-reloads": none,
      "lua-shared-dicts": none,
      "map-hash-bucket-size": none,
      "max-worker-connections": none,
      "max-worker-open-files": none,
      "nginx-status-ipv4-whitelist": none,
      "nginx-status-ipv6-whitelist": none,
      "proxy-headers-hash-bucket-size": none,
      "proxy-headers-hash-max-size": none,
      "proxy-ssl-location-only": off,
      "reuse-port": on,
      "server-name-hash-bucket-size": none,
      "server-name-hash-max-size": none,
      "variables-hash-bucket-size": none,
      "variables-hash-max-size": none,
      "worker-cpu-affinity": none,
    },
  ],
];

/** By key. */
export const knownKeys: ReadonlyMap<string, KnownKey> = new Map(
  groups.flatMap(([reason, keys]) => Object.entries(keys).map(([key, same]) => [key, { reason, same }] as const)),
);
