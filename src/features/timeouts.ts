/** How long Sluice waits for an upstream. The data plane reads the policy; there is nothing to do per request. */
import { type Annotation, type Directive, defineFeature } from "./feature.ts";
import { duration } from "./values.ts";

export const timeouts = defineFeature({
  name: "timeouts",
  phase: "upstream",
  summary: "Limits the time that an upstream may take.",
  annotations: {
    "proxy-connect-timeout": timeout(
      "proxyConnectTimeout",
      5000,
      "For a connection to the upstream to be made; then another endpoint is tried, and 504 is the answer when none is left.",
    ),
    "proxy-read-timeout": timeout(
      "proxyReadTimeout",
      60_000,
      "Between two reads from the upstream; 504 when no response has begun. An idle WebSocket ends after it, too.",
    ),
    "proxy-send-timeout": timeout("proxySendTimeout", 60_000, "Between two writes to the upstream; then 504."),
  },
  policy: (values) => ({
    timeouts: {
      connect: values["proxy-connect-timeout"],
      read: values["proxy-read-timeout"],
      send: values["proxy-send-timeout"],
    },
  }),
  rendered: "`proxy_connect_timeout`, `proxy_read_timeout`, `proxy_send_timeout`",
  nginx: ({ timeouts: { connect, read, send } }) => ({
    location: [
      directive("proxy_connect_timeout", connect),
      directive("proxy_read_timeout", read),
      directive("proxy_send_timeout", send),
    ],
  }),
});

function timeout(
  setting: "proxyConnectTimeout" | "proxyReadTimeout" | "proxySendTimeout",
  milliseconds: number,
  summary: string,
): Annotation<number> {
  return { ...duration({ least: 1, example: "60 (seconds), 90s or 5m" }), default: milliseconds, setting, summary };
}

function directive(name: string, milliseconds: number): Directive {
  return { name, args: [milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`] };
}
