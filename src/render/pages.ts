/**
 * Error pages. nginx makes one by going to another location, where the headers that a location adds (CORS) are not added;
 * so a location with such headers gets a page of its own that adds them too. The paths of pages have an empty segment,
 * which no request reaches: nginx merges slashes.
 */
import type { Directive } from "../features/feature.ts";
import type { LocationBlock } from "./configuration.ts";
import { ours } from "./names.ts";

/** Every status that nginx answers by itself with the configuration that we write. */
export const pageStatuses: readonly number[] = [
  301, 302, 303, 307, 308, 400, 403, 404, 405, 408, 411, 413, 414, 416, 421, 431, 500, 501, 502, 503, 504, 505,
];

/** The path of the page that all locations without headers of their own share. */
export const commonPage = "//sluice/page";

/** The path of the answer for clients of gRPC, to which every page leads them. */
export const grpcPage = "//sluice/grpc";

/** What a page does. */
export function pageDirectives(speaksGrpc: boolean): readonly Directive[] {
  return [
    ...forPages,
    { name: "default_type", args: ["text/html; charset=utf-8"] },
    ...(speaksGrpc ? leadToGrpc : []),
    { name: "return", args: ["200", ours("$sluice_page")] },
  ];
}

const forPages: readonly Directive[] = [
  { name: "internal", args: [] },
  // The page for a body that is too large: over HTTP/2 nginx looks at the length once more, and would make its own page.
  { name: "client_max_body_size", args: ["0"] },
];

/** A page keeps the status of what failed. Only the page of another failure, which no client ever sees, can have 200. */
const leadToGrpc: readonly Directive[] = [
  { name: "error_page", args: ["418", "=200", grpcPage] },
  { name: "set", args: [ours("$sluice_failed"), ours("$status")] },
  { name: "if", args: [ours("($sluice_grpc)")], block: [{ name: "return", args: ["418"] }] },
];

export const grpcPageDirectives: readonly Directive[] = [
  ...forPages,
  { name: "default_type", args: ["application/grpc"] },
  { name: "add_header", args: ["grpc-status", ours("$sluice_grpc_status")] },
  { name: "add_header", args: ["grpc-message", ours("$sluice_grpc_message")] },
  { name: "return", args: ["200", ""] },
];

/** The locations, those with headers led to pages of their own, and these pages. */
export function withPages(locations: readonly LocationBlock[], speaksGrpc: boolean): readonly LocationBlock[] {
  const pages = new Map<string, { readonly path: string; readonly headers: readonly Directive[] }>();
  const led = locations.map((location) => {
    const headers = location.directives.filter(({ name }) => name === "add_header");
    if (headers.length === 0) {
      return location;
    }
    const key = JSON.stringify(headers);
    const page = pages.get(key) ?? { path: `${commonPage}/${pages.size + 1}`, headers };
    pages.set(key, page);
    const lead = { name: "error_page", args: [...pageStatuses.map(String), page.path] };
    return { ...location, directives: [lead, ...location.directives] };
  });
  const added = [...pages.values()].map(({ path, headers }) => ({
    match: ["=", path],
    comments: [],
    directives: [...headers, ...pageDirectives(speaksGrpc)],
  }));
  return [...led, ...added];
}
