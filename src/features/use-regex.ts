/** Whether the paths of an Ingress are regular expressions. Translate makes the routes accordingly. */
import { defineFeature } from "./feature.ts";
import { boolean } from "./values.ts";

export const useRegex = defineFeature({
  name: "use-regex",
  phase: "rewrite",
  summary: "Reads paths as regular expressions.",
  annotations: {
    "use-regex": {
      ...boolean,
      default: false,
      summary:
        "Paths of type ImplementationSpecific are regular expressions, matched from the start of the path without regard to case. Exact and Prefix paths, and those of other Ingresses, keep their meaning.",
    },
  },
  policy: (values) => ({ useRegex: values["use-regex"] }),
  rendered: "the location itself: `location ~*`",
  nginx: () => ({ location: [] }),
});
