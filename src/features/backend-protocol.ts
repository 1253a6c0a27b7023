/** What is spoken to the upstream. A protocol that Sluice does not speak closes the route: plain HTTP would be wrong there. */
import { defineFeature } from "./feature.ts";
import { oneOf } from "./values.ts";

export const backendProtocol = defineFeature({
  name: "backend-protocol",
  phase: "upstream",
  summary: "Chooses the protocol spoken to the upstream.",
  annotations: {
    "backend-protocol": {
      ...oneOf(["HTTP", "HTTPS"], ["GRPC", "GRPCS", "FCGI", "AUTO_HTTP"]),
      default: "HTTP",
      guards: true,
      summary:
        "`HTTPS` speaks TLS to the upstream, without verifying its certificate, as ingress-nginx does. `GRPC`, `GRPCS`, `FCGI` and `AUTO_HTTP` are known but not supported.",
    },
  },
  policy: (values) => ({ backendProtocol: values["backend-protocol"] === "HTTPS" ? "https" : "http" }),
  rendered: "the scheme of `proxy_pass`",
  nginx: () => ({ location: [] }),
});
