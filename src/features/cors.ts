/**
 * Cross-origin requests: answers preflights, and says on every response of the route, our own errors included, which
 * origins may read it. The headers and their values are ingress-nginx's; the exceptions stand at their place.
 */
import { createHash } from "node:crypto";
import type { Cors } from "../model/policy.ts";
import type { Exchange } from "./exchange.ts";
import { type Directive, defineFeature, type NginxArg, type NginxMap, type NginxParts } from "./feature.ts";
import { boolean, headerNames, methods, optional, origins, seconds } from "./values.ts";

export const cors = defineFeature({
  name: "cors",
  phase: "rewrite",
  summary:
    "Lets pages of other origins use the route. A preflight (OPTIONS) of an allowed origin is answered 204; the CORS headers are set on every response to an allowed origin, Sluice's own errors included, in place of those that the upstream sent.",
  annotations: {
    "enable-cors": {
      ...boolean,
      default: false,
      summary: "Switches it on; without it, the annotations below do nothing.",
    },
    "cors-allow-origin": {
      ...origins,
      default: ["*"],
      summary:
        "The origins, separated by commas; `*.` stands for exactly one label. With a list, the request's own origin is echoed and `Vary: Origin` is added. When the value is invalid no origin is allowed.",
    },
    "cors-allow-methods": {
      ...methods,
      default: "GET, PUT, POST, DELETE, PATCH, OPTIONS",
      summary: "Access-Control-Allow-Methods.",
    },
    "cors-allow-headers": {
      ...headerNames,
      default:
        "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
      summary: "Access-Control-Allow-Headers.",
    },
    "cors-expose-headers": {
      ...optional(headerNames),
      default: null,
      summary: "Access-Control-Expose-Headers; not set by default.",
    },
    "cors-allow-credentials": {
      ...boolean,
      default: true,
      summary: "Sends `Access-Control-Allow-Credentials: true`. When the value is invalid, it is not sent.",
    },
    "cors-max-age": {
      ...seconds({ least: 0, example: "864000 or 240h" }),
      default: 1_728_000,
      summary: "Access-Control-Max-Age: how long a browser may keep the answer to a preflight.",
    },
  },
  policy: (values, { invalid }) => {
    // ingress-nginx allows every origin when it cannot read the list; a mistake must not open more than was asked for.
    if (!values["enable-cors"] || invalid.has("cors-allow-origin")) return {};
    return {
      cors: {
        origins: values["cors-allow-origin"],
        methods: values["cors-allow-methods"],
        headers: values["cors-allow-headers"],
        exposeHeaders: values["cors-expose-headers"],
        credentials: values["cors-allow-credentials"] && !invalid.has("cors-allow-credentials"),
        maxAge: values["cors-max-age"],
      },
    };
  },
  compile: ({ cors }) => {
    if (cors === undefined) return undefined;
    const listed = isListed(cors);
    const allows = listed ? originTest(cors.origins) : () => true;
    const headers = headersOf(cors);
    return {
      // ingress-nginx takes every OPTIONS request of an allowed origin for a preflight.
      request: (exchange) => (exchange.method === "OPTIONS" && allows(exchange.header("origin")) ? preflight : null),
      response: (exchange: Exchange, response) => {
        // A cache must not give one origin the answer to another. ingress-nginx does not say so.
        if (listed) response.add("Vary", "Origin");
        const origin = exchange.header("origin");
        if (!allows(origin)) return;
        response.set("Access-Control-Allow-Origin", listed && origin !== undefined ? origin : "*");
        for (const [name, value] of headers) response.set(name, value);
      },
    };
  },
  rendered:
    "`add_header … always` with `proxy_hide_header`, and `if` with `return 204`; a list of origins becomes `map` blocks",
  nginx: ({ cors }) => {
    if (cors === undefined) return { location: [] };
    return isListed(cors) ? renderListed(cors) : renderAny(cors);
  },
});

/** The response hook adds the headers, as to every other answer. */
const preflight = { status: 204, headers: [], body: "" };

function isListed(cors: Cors): boolean {
  return !cors.origins.includes("*");
}

/** The headers that do not depend on the request. */
function headersOf(cors: Cors): readonly (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  if (cors.credentials) headers.push(["Access-Control-Allow-Credentials", "true"]);
  headers.push(["Access-Control-Allow-Methods", cors.methods], ["Access-Control-Allow-Headers", cors.headers]);
  if (cors.exposeHeaders !== null) headers.push(["Access-Control-Expose-Headers", cors.exposeHeaders]);
  headers.push(["Access-Control-Max-Age", String(cors.maxAge)]);
  return headers;
}

/** A test for the Origin header; case does not count, as in ingress-nginx. */
function originTest(list: readonly string[]): (origin: string | undefined) => boolean {
  const exact = new Set(list.filter((origin) => !origin.includes("*")));
  const wildcards = list
    .filter((origin) => origin.includes("*"))
    .map((origin) => ({ before: origin.slice(0, origin.indexOf("*")), after: origin.slice(origin.indexOf("*") + 1) }));
  return (origin) => {
    if (origin === undefined) return false;
    const text = origin.toLowerCase();
    return exact.has(text) || wildcards.some(({ before, after }) => matchesWildcard(text, before, after));
  };
}

/** Between the fixed parts stands exactly one label: letters, digits and "-". */
function matchesWildcard(text: string, before: string, after: string): boolean {
  if (text.length <= before.length + after.length || !text.startsWith(before) || !text.endsWith(after)) return false;
  return /^[a-z0-9-]+$/.test(text.slice(before.length, text.length - after.length));
}

/** Every origin: the headers are constant. */
function renderAny(cors: Cors): NginxParts {
  const headers = [["Access-Control-Allow-Origin", "*"] as const, ...headersOf(cors)];
  return {
    location: [
      answerPreflight([{ nginx: "($request_method" }, "=", "OPTIONS)"]),
      ...headers.flatMap(([name, value]) => replaceHeader(name, value)),
    ],
  };
}

/** A list of origins: maps choose between our value and the upstream's own, which stays when the origin is not allowed. */
function renderListed(cors: Cors): NginxParts {
  const prefix = `$sluice_cors_${createHash("sha256").update(JSON.stringify(cors)).digest("hex").slice(0, 20)}`;
  const allowed: NginxMap = {
    source: "$http_origin",
    variable: `${prefix}_allowed`,
    entries: cors.origins.map((origin) => ({ regex: `(?i)^${originRegex(origin)}$`, value: "1" })),
    default: "",
  };
  const isPreflight: NginxMap = {
    source: `$request_method:${allowed.variable}`,
    variable: `${prefix}_preflight`,
    entries: [{ regex: "^OPTIONS:1$", value: "1" }],
    default: "",
  };
  const headers: readonly (readonly [string, NginxArg])[] = [
    ["Access-Control-Allow-Origin", { nginx: "$http_origin" }],
    ...headersOf(cors),
  ];
  const chosen = headers.map(([name, value]) => ({
    name,
    map: {
      source: allowed.variable,
      variable: `${prefix}_${shortName(name)}`,
      entries: [{ regex: "^1$", value }],
      default: { nginx: `$upstream_http_${name.toLowerCase().replaceAll("-", "_")}` },
    },
  }));
  return {
    location: [
      answerPreflight([{ nginx: `(${isPreflight.variable})` }]),
      { name: "add_header", args: ["Vary", "Origin", "always"] },
      ...chosen.flatMap(({ name, map }) => replaceHeader(name, { nginx: map.variable })),
    ],
    maps: [allowed, isPreflight, ...chosen.map(({ map }) => map)],
  };
}

/** nginx' table of variables takes names of 46 characters at most, unless it is made larger. */
function shortName(header: string): string {
  return header
    .replace(/^Access-Control-(Allow-|(?=Max))/, "")
    .replace(/^Access-Control-Expose-Headers$/, "exposed")
    .toLowerCase()
    .replaceAll("-", "_");
}

/** An origin that was read holds few of these; a Snapshot may come from elsewhere. */
function originRegex(origin: string): string {
  return origin.replace(/[\\^$.+?()[\]{}|]/g, "\\$&").replaceAll("*", "[a-z0-9-]+");
}

function answerPreflight(condition: readonly NginxArg[]): Directive {
  return { name: "if", args: condition, block: [{ name: "return", args: ["204"] }] };
}

function replaceHeader(name: string, value: NginxArg): readonly Directive[] {
  return [
    { name: "proxy_hide_header", args: [name] },
    { name: "add_header", args: [name, value, "always"] },
  ];
}
