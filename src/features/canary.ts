/**
 * A canary: an Ingress that takes some requests from the one that has its host and path. What it may say beside that
 * concerns its own upstream; all else is the main Ingress', and here is told what therefore does nothing.
 */
import type { CanaryHeader } from "../model/canary.ts";
import { defineFeature, quote, type Reader } from "./feature.ts";
import { boolean, optional, wholeNumber } from "./values.ts";

function token(what: string, example: string): Reader<string> {
  return {
    type: `the name of a ${what}`,
    example,
    read: (text) =>
      /^[A-Za-z0-9_-]{1,128}$/.test(text.trim()) ? { value: text.trim().toLowerCase() } : { refused: {} },
    print: String,
  };
}

function printable(type: string, example: string): Reader<string> {
  return {
    type,
    example,
    read: (text) => (/^[!-~]([ -~]{0,1022}[!-~])?$/.test(text.trim()) ? { value: text.trim() } : { refused: {} }),
    print: String,
  };
}

export const canary = defineFeature({
  name: "canary",
  phase: "upstream",
  summary: "Takes some requests from another Ingress of the namespace that has the same host and path.",
  ofCanary: true,
  annotations: {
    canary: {
      ...boolean,
      default: false,
      summary:
        "Makes the Ingress a canary. Its paths stand beside those of another Ingress and do nothing of themselves; of its annotations only `canary-*`, `load-balance`, `upstream-hash-by`, `service-upstream` and those about its endpoints' health count, and the others are the main Ingress'. Where several canaries stand beside a path, the older one decides first.",
    },
    "canary-by-header": {
      ...optional(token("header", "X-Canary")),
      default: null,
      summary: "The header that decides: `always` is the canary, `never` the main Ingress, and anything else nothing.",
    },
    "canary-by-header-value": {
      ...optional(printable("a header value of printable ASCII", "beta")),
      default: null,
      needs: ["canary-by-header"],
      summary: "The value of `canary-by-header` that asks for the canary, in the place of `always` and `never`.",
    },
    "canary-by-header-pattern": {
      ...optional(printable("a regular expression of printable ASCII", "^beta-[0-9]+$")),
      default: null,
      needs: ["canary-by-header"],
      yieldsTo: "canary-by-header-value",
      summary:
        "As `canary-by-header-value`, a regular expression (PCRE) that matches anywhere in the value, where case counts. Where both are set, the value counts.",
    },
    "canary-by-cookie": {
      ...optional(token("cookie", "canary")),
      default: null,
      summary: "The cookie that decides where the header does not, by `always` and `never`.",
    },
    "canary-weight": {
      ...wholeNumber(0, 1_000_000_000),
      default: 0,
      summary: "How many requests of `canary-weight-total` go to the canary, where neither header nor cookie decides.",
    },
    "canary-weight-total": {
      ...wholeNumber(100, 1_000_000_000),
      default: 100,
      needs: ["canary-weight"],
      summary: "What `canary-weight` is a part of.",
    },
  },
  policy: (values) => {
    if (!values.canary) return {};
    const name = values["canary-by-header"];
    const value = values["canary-by-header-value"];
    const pattern = value === null ? values["canary-by-header-pattern"] : null;
    const header: CanaryHeader | null = name === null ? null : { name, value, pattern };
    const total = values["canary-weight-total"];
    const weight = Math.min(values["canary-weight"], total);
    return { canary: { header, cookie: values["canary-by-cookie"], weight, total } };
  },
  rendered:
    "maps of the header and the cookie, `split_clients` on `$request_id`, and a variable in `proxy_pass`; of several canaries the first",
  nginx: () => ({ location: [] }),
});

/** Told of an annotation that only means something for a canary, where there is none. */
export function withoutCanary(text: string): string {
  return `${quote(text)} does nothing, for the Ingress is no canary; add the annotation canary with the value "true", or remove it`;
}

/** Told of an annotation of a canary that belongs to the main Ingress. */
export function ofMainIngress(text: string): string {
  return `${quote(text)} does nothing, for the Ingress is a canary, and its main Ingress says this for both; remove it here`;
}
