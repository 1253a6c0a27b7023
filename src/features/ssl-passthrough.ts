/** TLS that is not ended here: connections to a host go to its Service as they are, found by their server name. */
import { defineFeature } from "./feature.ts";
import { boolean } from "./values.ts";

export const sslPassthrough = defineFeature({
  name: "ssl-passthrough",
  phase: "head",
  summary: "Passes TLS connections to the hosts of the Ingress through to the Service, which ends them.",
  annotations: {
    "ssl-passthrough": {
      ...boolean,
      default: false,
      guards: true,
      summary:
        "Connections whose server name is a host of the rules go to the Service of its path `/`, or else of `spec.defaultBackend`, untouched: none of the other annotations counts for them but `allowlist-source-range`, `denylist-source-range`, `proxy-connect-timeout` and `sluice.dev/proxy-protocol`. Needs `--enable-ssl-passthrough`; without it the Ingress answers 503. Requests in plain HTTP are served as ever; those over TLS that was ended for another host are answered 421.",
    },
  },
  policy: (values) => (values["ssl-passthrough"] ? { passthrough: true } : {}),
  rendered:
    "`ssl_preread` in the stream block, which then has the port of HTTPS, and sends TLS that is ended here on to a port below it on the loopback; it needs nginx's module for streams",
  nginx: () => ({ location: [] }),
});
