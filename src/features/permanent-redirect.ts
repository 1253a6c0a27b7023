/** Answers every request of the Ingress with one redirect. */
import { defineFeature } from "./feature.ts";
import { redirectTo } from "./location.ts";
import { optional, statusCode, url } from "./values.ts";

/** nginx sends a Location with these alone: any other code of the 300s makes the URL the text of a page. */
const redirectCodes = [301, 302, 303, 307, 308] as const;

export const permanentRedirect = defineFeature({
  name: "permanent-redirect",
  phase: "rewrite",
  summary: "Answers every request with a redirect to one URL.",
  annotations: {
    "permanent-redirect": {
      ...optional(url),
      default: null,
      summary:
        "Where to: an http or https URL, or a path on the same host. It is sent as it is, without the request's path.",
    },
    "permanent-redirect-code": {
      ...statusCode(redirectCodes),
      default: 301,
      summary: "The status of that redirect.",
    },
  },
  policy: (values) => {
    const location = values["permanent-redirect"];
    return location === null ? {} : { redirect: { location, code: values["permanent-redirect-code"] } };
  },
  compile: ({ redirect }) => {
    if (redirect === undefined) return undefined;
    const reply = redirectTo(redirect.code, redirect.location);
    return { request: () => reply };
  },
  rendered: "`return` (with `absolute_redirect off` for a path)",
  nginx: ({ redirect }) => {
    if (redirect === undefined) return { location: [] };
    const { code, location } = redirect;
    const answer = { name: "return", args: [String(code), location] };
    // nginx would prefix a path with scheme and host of its own; the path alone is right behind another proxy, too.
    return { location: location.startsWith("/") ? [{ name: "absolute_redirect", args: ["off"] }, answer] : [answer] };
  },
});
