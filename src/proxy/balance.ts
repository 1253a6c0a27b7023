/**
 * Which endpoint of an upstream the next try goes to: round robin, passing over those that this request has tried.
 */
import type { EndpointPool } from "./upstreams.ts";

/** What is balanced over; the cursor outlives changes of the endpoints. */
export interface Balanced {
  readonly endpoints: readonly EndpointPool[];
  cursor: number;
}

/** The next endpoint not in `tried`; null when there is none. Hot. */
export function pickEndpoint(upstream: Balanced, tried: readonly EndpointPool[]): EndpointPool | null {
  const { endpoints } = upstream;
  const count = endpoints.length;
  for (let step = 0; step < count; step++) {
    const index = upstream.cursor < count ? upstream.cursor : 0;
    upstream.cursor = index + 1;
    const endpoint = endpoints[index];
    if (endpoint !== undefined && (tried.length === 0 || !tried.includes(endpoint))) return endpoint;
  }
  return null;
}
