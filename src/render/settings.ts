/** Settings that stock nginx cannot follow, or not wholly. */
import type { RenderSettings } from "./nginx.ts";

/** The reasons, for the head of nginx.conf and for whoever renders it. */
export function inexpressibleSettings(settings: RenderSettings): readonly string[] {
  const reasons: string[] = [];
  if (settings.useProxyProtocol && settings.trustedProxies.length > 0) {
    reasons.push(
      "the address in X-Forwarded-For of a client that a PROXY protocol header tells of is not looked at: nginx takes the client's address from one of them",
    );
  }
  if (settings.http2PriorKnowledge) {
    reasons.push(
      "HTTP/2 by prior knowledge is not spoken: before 1.25.1, nginx has HTTP/1.1 or that on a port in plain",
    );
  }
  if (settings.enableBrotli) reasons.push("nothing is compressed with brotli: stock nginx has no module for it");
  if (settings.useGzip) reasons.push("no-transform keeps nothing from being compressed: nginx does not look at it");
  return reasons;
}
