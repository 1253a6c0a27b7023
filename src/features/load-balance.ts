/**
 * Which endpoint of an upstream serves a request. What is asked for here belongs to the upstream, not to the route: two
 * Ingresses that ask different things of one Service have an upstream each.
 */
import type { Algorithm } from "../model/balance.ts";
import { defineFeature, type Reader } from "./feature.ts";
import { hashVariables, parseHashKey } from "./hash-key.ts";
import { boolean, oneOf, optional, wholeNumber } from "./values.ts";

const algorithms = ["round_robin", "ewma", "least_conn"] as const;
type LoadBalance = (typeof algorithms)[number];

const key: Reader<string> = {
  type: "a text with variables",
  example: `$request_uri, with variables out of ${hashVariables.join(", ")}`,
  read: (text) => {
    const trimmed = text.trim();
    const parsed = parseHashKey(trimmed);
    return "wrong" in parsed ? { refused: { detail: parsed.wrong } } : { value: trimmed };
  },
  print: String,
};

export const loadBalance = defineFeature({
  name: "load-balance",
  phase: "upstream",
  summary: "Chooses the endpoint of the upstream that a request goes to.",
  ofCanary: true,
  annotations: {
    "load-balance": {
      ...oneOf<LoadBalance>(algorithms),
      default: "round_robin" as LoadBalance,
      setting: "loadBalance",
      yieldsTo: "upstream-hash-by",
      summary:
        "`round_robin` takes the endpoints in turn. `ewma` draws two and takes the one with the lower product of its answers' time (peak EWMA over 10 s, up to the head of the response) and its requests under way. `least_conn` takes the endpoint with the fewest requests under way. Requests under way are counted over all workers.",
    },
    "upstream-hash-by": {
      ...optional(key),
      default: null,
      summary:
        "Sends equal keys to the same endpoint, by a consistent hash: when one of N endpoints leaves, one key in N moves. It goes before `load-balance`. A request whose key is empty goes to the endpoints in turn.",
    },
    "upstream-hash-by-subset": {
      ...boolean,
      default: false,
      needs: ["upstream-hash-by"],
      summary: "Sends equal keys to a set of endpoints, of which one is drawn for each request.",
    },
    "upstream-hash-by-subset-size": {
      ...wholeNumber(1, 1000),
      default: 3,
      needs: ["upstream-hash-by-subset"],
      summary: "Endpoints in a set of `upstream-hash-by-subset`.",
    },
  },
  policy: (values) => {
    const algorithm = readAlgorithm(values);
    return algorithm === null ? {} : { upstreamOptions: { algorithm } };
  },
  rendered:
    "`least_conn` and `hash … consistent` in the upstream, with which nginx chooses the same endpoint as Sluice. nginx has no `ewma` (which is Lua in ingress-nginx), but `random two least_conn`, which does not measure; and no subsets: each key leads to one endpoint",
  nginx: () => ({ location: [] }),
});

function readAlgorithm(values: {
  readonly "load-balance": LoadBalance;
  readonly "upstream-hash-by": string | null;
  readonly "upstream-hash-by-subset": boolean;
  readonly "upstream-hash-by-subset-size": number;
}): Algorithm | null {
  const hashBy = values["upstream-hash-by"];
  if (hashBy !== null) {
    const subset = values["upstream-hash-by-subset"] ? values["upstream-hash-by-subset-size"] : null;
    return { kind: "hash", key: hashBy, subset };
  }
  const kind = values["load-balance"];
  return kind === "round_robin" ? null : { kind };
}
