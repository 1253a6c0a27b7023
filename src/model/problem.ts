/**
 * A Problem is a user's mistake, told on the object that holds it: which object, which field, which value, and what to
 * write instead. Codes are stable; docs/problems.md is generated from this table.
 */
export interface ObjectRef {
  readonly kind: string;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

/** Where an object was read from, when that was a file. */
export interface Origin {
  readonly file: string;
  /** Of the object's first line, from 1. */
  readonly line: number;
}

export interface Problem {
  readonly code: ProblemCode;
  readonly object: ObjectRef;
  /** Path of the field, such as `spec.rules[0].http.paths[1].pathType`, or "" for the whole object. */
  readonly field: string;
  /** Begins in lower case, quotes the offending value, ends with what to do. May hold untrusted text. */
  readonly message: string;
  readonly origin?: Origin;
}

/** The codes with one sentence each: what is wrong and what Sluice does meanwhile. */
export const problemCodes = {
  FileUnreadable: "A manifest file cannot be read or parsed; the objects it last held stay in force.",
  InvalidObject:
    "An object breaks the rules of its kind; it is not used (its last good state stays in force when it had one).",
  DuplicateObject:
    "Two files hold an object of the same kind, namespace and name; the first file in order of path wins.",
  DeprecatedVersion: "An Ingress is written for an API version that no longer exists; it is not used.",
  ClassNotFound: "An Ingress names an IngressClass that does not exist; it is not served.",
  ResourceBackend: "An Ingress backend refers to a resource, which Sluice does not serve; its path answers 503.",
  ServiceNotFound:
    "An Ingress backend, or an entry of TCP or UDP services, names a Service that does not exist; its path answers 503, its port stays closed.",
  PortNotFound:
    "An Ingress backend, or an entry of TCP or UDP services, names a port that its Service does not have; its path answers 503, its port stays closed.",
  ExternalNameRefused:
    "A Service of type ExternalName is named while --allow-external-name=false; its path answers 503, its port stays closed.",
  ExternalNameInvalid:
    "The external name of a Service is not a DNS name that may be resolved; its path answers 503, its port stays closed.",
  ExternalNameUnresolved: "The external name of a Service cannot be resolved; its last addresses stay in use.",
  NoClusterAddress:
    "An Ingress asks for the cluster IP of a Service that has none; the endpoints of the Service are used.",
  InvalidStream: "An entry of the ConfigMap of TCP or UDP services is wrong; its port stays closed.",
  PortUnavailable:
    "The port of a TCP or UDP service cannot be listened on; it is tried again every few seconds, all other ports are served.",
  DuplicatePath: "Two Ingresses claim one host and path; the older one serves it.",
  InvalidRegex: "A path is not a regular expression that Sluice can match safely; its path answers 503.",
  LiteralRegex: "A path of type Prefix or Exact looks like a regular expression; it is matched literally.",
  SecretNotFound:
    "A TLS Secret does not exist; its hosts are served with the default certificate, and paths whose upstreams need it answer 503.",
  CertificateInvalid:
    "A TLS Secret has no usable certificate and key, or no usable certificates of authorities; its hosts are served with the default certificate, and paths whose upstreams need it answer 503.",
  CertificateMismatch:
    "The certificate and the key of a TLS Secret do not belong together, or the certificate does not cover the host; the default certificate is served, and paths whose upstreams need it answer 503.",
  CertificateExpired:
    "The certificate of a TLS Secret is expired or not yet valid; its hosts are served with the default certificate.",
  DuplicateTlsHost: "Two Ingresses name different Secrets for one host; the older one decides.",
  DuplicateHostTls:
    "Two Ingresses ask for different handshakes of one host by annotations (client certificates, ciphers); the older one decides, and paths of the younger that would be open to clients whom it does not admit answer 503.",
  CanaryWithoutMain:
    "A path of a canary has no other Ingress of its namespace with the same host and path; it does nothing.",
  CanaryAnnotation:
    "An annotation of a canary is its main Ingress' to say, or one of canaries stands at an Ingress that is none; it does nothing.",
  TlsPassthrough:
    "TLS of a host is not passed through although an Ingress asks for it, or is although another wants it ended here; the message says what counts.",
  UnknownAnnotation: "An annotation under a prefix of ours does not exist; it does nothing.",
  UnsupportedAnnotation:
    "An annotation of ingress-nginx is known but not supported here; it does nothing, or closes its paths with 503 where it guards access.",
  InvalidAnnotation:
    "An annotation's value is invalid; it does nothing, or closes its paths with 503 where it guards access.",
  ConflictingAnnotation:
    "Two annotations of one object contradict each other, or one does nothing without another; the message says which one counts, or is missing.",
  InvalidSetting:
    "A setting names an object that does not exist or has a value that cannot be used; the message says what counts instead.",
  UnknownSetting: "A key of the ConfigMap of settings does not exist; it does nothing.",
  UnsupportedSetting: "A key of ingress-nginx's ConfigMap is known but not supported here; it does nothing.",
  SettingNeedsRestart:
    "A setting of the ConfigMap has changed that is read at the start alone; the value in force stays until Sluice restarts.",
} as const satisfies Record<string, string>;

export type ProblemCode = keyof typeof problemCodes;

/** The order in which problems are listed: object, field, code, message. */
export function compareProblems(a: Problem, b: Problem): number {
  return (
    compareText(a.object.kind, b.object.kind) ||
    compareText(a.object.namespace, b.object.namespace) ||
    compareText(a.object.name, b.object.name) ||
    compareText(a.field, b.field) ||
    compareText(a.code, b.code) ||
    compareText(a.message, b.message)
  );
}

/** One line for logs and terminals: untrusted text cannot break it, for control characters are escaped. */
export function formatProblem(problem: Problem): string {
  const { object, field, origin } = problem;
  const name = object.namespace === "" ? object.name : `${object.namespace}/${object.name}`;
  const place = origin === undefined ? "" : `${origin.file}:${origin.line}: `;
  const where = field === "" ? "" : ` ${field}:`;
  return printable(`${place}${object.kind} ${name}:${where} ${problem.message} [${problem.code}]`);
}

/**
 * The text with every character that could break a line, move a cursor or reorder what is read written as \uXXXX:
 * C0 and C1 controls, line and paragraph separators, bidirectional controls and lone surrogates.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Orders by code unit, the same on every machine and locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
