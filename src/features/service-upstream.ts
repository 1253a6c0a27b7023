/** The Service's own address in the place of its endpoints: the cluster's network, or a mesh, then chooses among them. */
import { defineFeature } from "./feature.ts";
import { boolean } from "./values.ts";

export const serviceUpstream = defineFeature({
  name: "service-upstream",
  phase: "upstream",
  summary: "Sends requests to the cluster IP and port of the Service.",
  ofCanary: true,
  annotations: {
    "service-upstream": {
      ...boolean,
      default: false,
      setting: "serviceUpstream",
      summary:
        "The cluster IP is the upstream's only endpoint, so that nothing here balances, retries on another endpoint or notices that a pod has gone. A Service without a cluster IP (headless, or an ExternalName) keeps its endpoints.",
    },
  },
  policy: (values) => (values["service-upstream"] ? { upstreamOptions: { serviceAddress: true } } : {}),
  rendered: "the `server` of the upstream",
  nginx: () => ({ location: [] }),
});
