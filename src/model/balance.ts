/**
 * What annotations ask of the choice among the endpoints of one upstream, as plain data. Absent: round robin over all of
 * them, with nothing counted.
 */
export interface BalanceOptions {
  readonly algorithm?: Algorithm;
  /** Milliseconds in which the share of an endpoint that joins grows from next to nothing to a full one. */
  readonly slowStart?: number;
  readonly ejection?: Ejection;
  readonly healthCheck?: HealthCheck;
}

/**
 * ewma: the less loaded of two chosen at random, by the time that answers take and the requests under way. least_conn: the
 * endpoint with the fewest requests under way. hash: the same endpoint for the same key, as far as endpoints stay.
 */
export type Algorithm = { readonly kind: "ewma" } | { readonly kind: "least_conn" } | HashAlgorithm;

export interface HashAlgorithm {
  readonly kind: "hash";
  /** Text with variables, as features/hash-key.ts reads it. */
  readonly key: string;
  /** Endpoints of the set that a key leads to, of which any may serve; null: one endpoint. */
  readonly subset: number | null;
}

/** Endpoints that fail are left out for a while. */
export interface Ejection {
  /** Failures in a row, over all workers, after which an endpoint is left out. */
  readonly failures: number;
  /** Milliseconds of the first ejection; the next one of the same endpoint is as much longer. */
  readonly baseTime: number;
  /** Milliseconds of an ejection at most. */
  readonly longestTime: number;
  /** Of the endpoints, as a percentage, that may be left out at once. The last one never is. */
  readonly percent: number;
  /** Answers of the classes 5xx are failures, too. */
  readonly serverErrors: boolean;
}

/** Endpoints are asked at intervals whether they are well. Times in milliseconds. */
export interface HealthCheck {
  readonly probe: HttpProbe | GrpcProbe;
  readonly interval: number;
  readonly timeout: number;
  /** Good checks in a row after which an endpoint gets requests again, and bad ones after which it gets none. */
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** null: the endpoint's own. */
  readonly port: number | null;
}

export interface HttpProbe {
  readonly kind: "http";
  readonly path: string;
  /** Ranges, from and to, of the statuses of a good answer. */
  readonly statuses: readonly (readonly [number, number])[];
}

/** grpc.health.v1; "" asks for the whole server. */
export interface GrpcProbe {
  readonly kind: "grpc";
  readonly service: string;
}
