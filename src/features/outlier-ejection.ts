/** Endpoints that fail requests are left out for a while: passive health, which costs no request of its own. */
import { defineFeature } from "./feature.ts";
import { boolean, duration, wholeNumber } from "./values.ts";

/** Timers fit in it many times over, which end at once when they are set for more than 24 days. Milliseconds. */
const longestEjection = 86_400_000;

export const outlierEjection = defineFeature({
  name: "outlier-ejection",
  phase: "upstream",
  summary: "Leaves out endpoints that fail several requests in a row.",
  ofCanary: true,
  annotations: {
    "outlier-ejection": {
      ...wholeNumber(0, 1000),
      default: 0,
      own: true,
      summary:
        "How many requests in a row an endpoint may fail, counted over all workers, before it gets none for a while; 0 leaves none out. A failure is a connection that cannot be established, is reset or ends early, a time limit that passes, and an answer that is no HTTP. The last endpoint of an upstream is never left out.",
    },
    "outlier-ejection-time": {
      ...duration({ least: 1000, most: longestEjection, example: "30s" }),
      default: 30_000,
      own: true,
      needs: ["outlier-ejection"],
      summary:
        "How long an endpoint is left out the first time, a day at most; twice as long the second time, three times the third, and so on.",
    },
    "outlier-ejection-max-time": {
      ...duration({ least: 1000, most: longestEjection, example: "5m" }),
      default: 300_000,
      own: true,
      needs: ["outlier-ejection"],
      summary:
        "How long it is left out at most, which is a day at most. After as much time without a further ejection, the first counts anew.",
    },
    "outlier-ejection-percent": {
      ...wholeNumber(1, 100),
      default: 50,
      own: true,
      needs: ["outlier-ejection"],
      summary: "How many of the endpoints, in percent, may be left out at once; one always may, if there is another.",
    },
    "outlier-ejection-5xx": {
      ...boolean,
      default: false,
      own: true,
      needs: ["outlier-ejection"],
      summary: "Counts an answer with a status of 500 or more as a failure, too.",
    },
  },
  policy: (values) => {
    const failures = values["outlier-ejection"];
    if (failures === 0) return {};
    const baseTime = values["outlier-ejection-time"];
    const ejection = {
      failures,
      baseTime,
      longestTime: Math.max(values["outlier-ejection-max-time"], baseTime),
      percent: values["outlier-ejection-percent"],
      serverErrors: values["outlier-ejection-5xx"],
    };
    return { upstreamOptions: { ejection } };
  },
  rendered:
    "nothing: `max_fails` counts in each worker by itself, within a time instead of in a row, and its 5xx only where a request may be retried; endpoints have `max_fails=0`",
  nginx: () => ({ location: [] }),
});
