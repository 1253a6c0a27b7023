/**
 * What the annotations of an Ingress ask of one route, as plain data: one field a feature. A field that is absent means
 * that the feature does nothing. Equal policies are one object, so a hundred thousand routes cost a few policies.
 */
export interface Policy {
  readonly sslRedirect?: SslRedirect;
  readonly redirect?: Redirect;
  readonly rewrite?: Rewrite;
  readonly bodySize?: BodySize;
  /** Requests without TLS are refused, for they come without a certificate. */
  readonly clientCertificate?: { readonly errorPage: string | null };
  readonly sourceRange?: SourceRange;
  readonly cors?: Cors;
  /** Always present: the defaults come from the settings. */
  readonly timeouts: Timeouts;
}

/** `host-has-tls`: only where the host has TLS (ssl-redirect); `always`: everywhere (force-ssl-redirect). */
export interface SslRedirect {
  readonly when: "host-has-tls" | "always";
  /** HTTP status, 308 unless a setting says otherwise. */
  readonly code: number;
}

export interface Redirect {
  readonly location: string;
  /** HTTP status. */
  readonly code: number;
}

/**
 * The path is replaced by `target`, in which $1 to $9 stand for the groups of the route's regular expression (empty for
 * other paths). A target that begins with http:// or https:// answers 302 instead. The query is kept unless `target` ends in "?".
 */
export interface Rewrite {
  readonly target: string;
}

export interface BodySize {
  /** Bytes; a larger request body is answered 413. */
  readonly limit: number;
}

/** CIDRs in canonical form. An empty `allow` allows everybody; `deny` wins over `allow`. */
export interface SourceRange {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export interface Cors {
  /** Origins: "*", `https://a.example`, or with a wildcard label, `https://*.example.com`. */
  readonly origins: readonly string[];
  readonly methods: string;
  readonly headers: string;
  readonly exposeHeaders: string | null;
  readonly credentials: boolean;
  /** Seconds. */
  readonly maxAge: number;
}

/** Milliseconds, each at least 1. */
export interface Timeouts {
  readonly connect: number;
  /** Between two reads from the upstream. */
  readonly read: number;
  /** Between two writes to the upstream. */
  readonly send: number;
}
