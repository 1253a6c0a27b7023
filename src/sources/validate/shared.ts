/**
 * One copy of what objects repeat. A hundred thousand paths name the same few Services, types and often the same paths; each
 * as read is a text and an object of its own. Nothing here is needed to be right: what is not found is as good as what is.
 */
import type { IngressBackend, IngressPath } from "../objects.ts";

/** Values kept for sharing, of each sort; beyond it sharing begins anew, so that what is gone is not kept. */
const mostKept = 8192;

/** Characters. Longer texts are hardly repeated, and would make much of what is kept. */
const longestShared = 128;

const texts = new Map<string, string>();
const backends = new Map<string, IngressBackend>();
const paths = new Map<string, IngressPath>();

/** An equal text, the same one for most that are equal. */
export function sharedText(text: string): string {
  return text.length > longestShared ? text : keep(texts, text, text);
}

/** An equal backend, the same object for most that are equal. */
export function sharedBackend(backend: Extract<IngressBackend, { kind: "service" }>): IngressBackend {
  return keep(backends, backendKey(backend), backend);
}

/** An equal path, the same object for most that are equal. */
export function sharedPath(path: IngressPath): IngressPath {
  const { backend } = path;
  if (backend.kind !== "service" || path.path.length > longestShared) return path;
  // The key of a backend holds no space but those that end its parts, and a type none at all; what follows is the path.
  return keep(paths, `${backendKey(backend)} ${path.pathType} ${path.path}`, path);
}

/** No name of a Service or a port has a space or a quote: equal for equal backends alone. */
function backendKey({ name, port }: Extract<IngressBackend, { kind: "service" }>): string {
  return port.name === null
    ? `${JSON.stringify(name)} ${port.number}`
    : `${JSON.stringify(name)} ${JSON.stringify(port.name)}`;
}

function keep<T>(kept: Map<string, T>, key: string, value: T): T {
  const known = kept.get(key);
  if (known !== undefined) return known;
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, value);
  return value;
}
