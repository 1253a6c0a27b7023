/** A share that grows, for an endpoint that has just come: its caches are cold and its code is not compiled yet. */
import { defineFeature } from "./feature.ts";
import { duration, optional } from "./values.ts";

export const slowStart = defineFeature({
  name: "slow-start",
  phase: "upstream",
  summary: "Lets the share of a new endpoint grow over a time.",
  ofCanary: true,
  annotations: {
    "slow-start": {
      ...optional(duration({ least: 1, example: "30s" })),
      default: null,
      own: true,
      summary:
        "How long the share of an endpoint grows, in proportion to time, once it has come to others or may be used again. The first endpoints of an upstream have their full share at once. It does nothing with `upstream-hash-by`, where the key alone decides.",
    },
  },
  policy: (values) => {
    const time = values["slow-start"];
    return time === null ? {} : { upstreamOptions: { slowStart: time } };
  },
  rendered: "nothing, for `slow_start` is part of NGINX Plus; a new endpoint has its full share at once",
  nginx: () => ({ location: [] }),
});
