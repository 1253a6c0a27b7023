/**
 * Finds the exact path or the longest path prefix among the literal routes of one host. A lookup reads each byte of the
 * path once at most, stops where the registered paths stop and allocates nothing, so neither the number of routes nor a
 * path of eight thousand slashes makes it slower.
 */
import { childOf, RadixTree } from "./radix-tree.ts";

/** A literal route: an exact path serves that path alone, a prefix every path that continues it at an element boundary. */
export interface LiteralRoute<V> {
  readonly exact: boolean;
  readonly value: V;
}

export class PathTree<V> {
  readonly #tree = new RadixTree<Ends<V>>();

  /** `path` is a byte string. The first route added under a path keeps it. */
  add(path: string, route: LiteralRoute<V>): void {
    // A prefix matches by elements, so its trailing slash says nothing; "/" becomes "", which every path continues.
    const key = !route.exact && path.endsWith("/") ? path.slice(0, -1) : path;
    const node = this.#tree.place(key);
    node.entry ??= { exact: null, prefix: null };
    node.entry[route.exact ? "exact" : "prefix"] ??= route;
  }

  /** The exact route of `path`, else the longest prefix by path element, else null. Hot path. */
  find(path: string): LiteralRoute<V> | null {
    let longest: LiteralRoute<V> | null = null;
    let at = 0;
    for (let node = this.#tree.root; ; ) {
      const { entry } = node;
      if (at === path.length) {
        return entry?.exact ?? entry?.prefix ?? longest;
      }
      const code = path.charCodeAt(at);
      if (entry !== null && entry.prefix !== null && code === slash) {
        longest = entry.prefix;
      }
      const next = childOf(node, code);
      if (next === undefined || !path.startsWith(next.label, at)) {
        return longest;
      }
      at += next.label.length;
      node = next;
    }
  }
}

/** The routes whose path ends at a node. */
interface Ends<V> {
  exact: LiteralRoute<V> | null;
  prefix: LiteralRoute<V> | null;
}

const slash = 0x2f;
