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

/** What a page does. */
export const pageDirectives: readonly Directive[] = [
  { name: "internal", args: [] },
  // The page for a body that is too large: over HTTP/2 nginx looks at the length once more, and would make its own page.
  { name: "client_max_body_size", args: ["0"] },
  { name: "default_type", args: ["text/html; charset=utf-8"] },
  { name: "return", args: ["200", ours("$sluice_page")] },
];

/** The locations, those with headers led to pages of their own, and these pages. */
export function withPages(locations: readonly LocationBlock[]): readonly LocationBlock[] {
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
    directives: [...headers, ...pageDirectives],
  }));
  return [...led, ...added];
}
