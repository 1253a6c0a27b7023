/** Requests of Sluice's own that ask endpoints whether they are well: active health, beside what Kubernetes' probes say. */
import type { HealthCheck } from "../model/balance.ts";
import { defineFeature, type Reader } from "./feature.ts";
import { duration, optional, wholeNumber } from "./values.ts";

const path: Reader<string> = {
  type: "a path",
  example: "/healthz",
  read: (text) => (/^\/[!-"$-~]{0,1023}$/.test(text.trim()) ? { value: text.trim() } : { refused: {} }),
  print: String,
};

const grpcService: Reader<string> = {
  type: "the name of a gRPC service, or nothing for the whole server",
  example: "shop.Cart",
  read: (text) => (/^[A-Za-z0-9_./-]{0,256}$/.test(text.trim()) ? { value: text.trim() } : { refused: {} }),
  print: String,
};

const statuses: Reader<HealthStatuses> = {
  type: "a list of status codes and ranges of them",
  example: "200-299,404",
  read: (text) => {
    const ranges: (readonly [number, number])[] = [];
    for (const item of text.split(",")) {
      const [, from = "", to = from] = /^\s*([1-5]\d\d)\s*(?:-\s*([1-5]\d\d)\s*)?$/.exec(item) ?? [];
      if (from === "" || Number(from) > Number(to)) return { refused: {} };
      ranges.push([Number(from), Number(to)]);
    }
    return { value: ranges };
  },
  print: (ranges) => ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(","),
};

type HealthStatuses = readonly (readonly [number, number])[];

/** Timers fit in it many times over, which end at once when they are set for more than 24 days. Milliseconds. */
const longestInterval = 86_400_000;
/** A check that waits keeps others of its namespace waiting. Milliseconds. */
const longestTimeout = 60_000;

/** What has checks made at all. */
const asksFor = ["health-check-path", "health-check-grpc-service"];

const anySuccess: HealthStatuses = [[200, 399]];

export const healthCheck = defineFeature({
  name: "health-check",
  phase: "upstream",
  summary:
    "Asks every endpoint at intervals whether it is well, once a pod of Sluice. One that is not gets no requests; where none is, all do.",
  ofCanary: true,
  annotations: {
    "health-check-path": {
      ...optional(path),
      default: null,
      own: true,
      summary:
        "The target of the `GET` that is sent, with the endpoint's address as `Host`: over HTTP/1.1, over TLS and HTTP/2 as `backend-protocol` says, with the certificates and options of `proxy-ssl-*` that requests have. Without it, and without `health-check-grpc-service`, nothing is asked.",
    },
    "health-check-grpc-service": {
      ...optional(grpcService),
      default: null,
      own: true,
      yieldsTo: "health-check-path",
      summary:
        'The service that `grpc.health.v1.Health/Check` is asked for, in the place of a path; `""` is the whole server.',
    },
    "health-check-interval": {
      ...duration({ least: 1000, most: longestInterval, example: "10s" }),
      default: 10_000,
      own: true,
      needs: asksFor,
      summary: "Between two checks of an endpoint, give or take a tenth; a day at most.",
    },
    "health-check-timeout": {
      ...duration({ least: 100, most: longestTimeout, example: "2s" }),
      default: 2_000,
      own: true,
      needs: asksFor,
      summary: "How long a check may take, from connecting to the answer's head; a minute at most.",
    },
    "health-check-healthy-threshold": {
      ...wholeNumber(1, 100),
      default: 2,
      own: true,
      needs: asksFor,
      summary: "After how many good checks in a row an endpoint gets requests again. A new endpoint gets them at once.",
    },
    "health-check-unhealthy-threshold": {
      ...wholeNumber(1, 100),
      default: 3,
      own: true,
      needs: asksFor,
      summary: "After how many bad checks in a row it gets none.",
    },
    "health-check-expected-status": {
      ...statuses,
      default: anySuccess,
      own: true,
      needs: ["health-check-path"],
      summary: "The statuses that are good answers.",
    },
    "health-check-port": {
      ...optional(wholeNumber(1, 65_535)),
      default: null,
      own: true,
      needs: asksFor,
      summary: "The port that is asked, where it is not the endpoint's own.",
    },
  },
  policy: (values) => {
    const target = values["health-check-path"];
    const service = values["health-check-grpc-service"];
    if (target === null && service === null) return {};
    const healthCheck: HealthCheck = {
      probe:
        target === null
          ? { kind: "grpc", service: service ?? "" }
          : { kind: "http", path: target, statuses: values["health-check-expected-status"] },
      interval: values["health-check-interval"],
      timeout: values["health-check-timeout"],
      healthyThreshold: values["health-check-healthy-threshold"],
      unhealthyThreshold: values["health-check-unhealthy-threshold"],
      port: values["health-check-port"],
    };
    return { upstreamOptions: { healthCheck } };
  },
  rendered: "nothing, for `health_check` is part of NGINX Plus",
  nginx: () => ({ location: [] }),
});
