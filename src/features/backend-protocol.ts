/** What is spoken to the upstream. A protocol that Sluice does not speak closes the route: plain HTTP would be wrong there. */
import type { UpstreamProtocol } from "../model/upstream-tls.ts";
import { defineFeature } from "./feature.ts";
import { oneOf } from "./values.ts";

const protocols: ReadonlyMap<string, UpstreamProtocol> = new Map([
  ["HTTP", "http"],
  ["HTTPS", "https"],
  ["GRPC", "grpc"],
  ["GRPCS", "grpcs"],
]);

export const backendProtocol = defineFeature({
  name: "backend-protocol",
  phase: "upstream",
  summary: "Chooses the protocol spoken to the upstream.",
  annotations: {
    "backend-protocol": {
      ...oneOf([...protocols.keys()], ["FCGI", "AUTO_HTTP"]),
      default: "HTTP",
      guards: true,
      summary:
        "`HTTPS` speaks HTTP/1.1 over TLS to the upstream, and as ingress-nginx believes whatever certificate it shows unless `proxy-ssl-verify` says otherwise. `GRPC` speaks HTTP/2 in plain (h2c) and `GRPCS` HTTP/2 over TLS, with trailers and streams both ways; a port of the Service whose `appProtocol` is `kubernetes.io/h2c` is spoken to as by `GRPC` without this annotation. `FCGI` and `AUTO_HTTP` are known but not supported.",
    },
  },
  policy: (values) => ({ backendProtocol: protocols.get(values["backend-protocol"]) ?? "http" }),
  rendered: "the scheme of `proxy_pass`, or `grpc_pass`",
  nginx: () => ({ location: [] }),
});
