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
  readonly #tree = new RadixTree<End<V>>();

  /** `path` is a byte string. The first route added under a path keeps it. */
  add(path: string, { exact, value }: LiteralRoute<V>): void {
    // A prefix matches by elements, so its trailing slash says nothing; "/" becomes "", which every path continues.
    const key = !exact && path.endsWith("/") ? path.slice(0, -1) : path;
    const node = this.#tree.place(key);
    const { entry } = node;
    if (entry === null) node.entry = { exact, value, prefix: null };
    else if (exact && !entry.exact) node.entry = { exact, value, prefix: entry };
    else if (!exact && entry.exact) entry.prefix ??= { exact, value, prefix: null };
  }

  /** The exact route of `path`, else the longest prefix by path element, else null. Hot path. */
  find(path: string): LiteralRoute<V> | null {
    let longest: LiteralRoute<V> | null = null;
    let at = 0;
    for (let node = this.#tree.root; ; ) {
      const { entry } = node;
      if (at === path.length) {
        return entry ?? longest;
      }
      const code = path.charCodeAt(at);
      if (entry !== null && code === slash) {
        longest = (entry.exact ? entry.prefix : entry) ?? longest;
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

/** What ends at a node: mostly one route, and so one object; of two the exact one, with the prefix behind it. */
interface End<V> extends LiteralRoute<V> {
  prefix: End<V> | null;
}

const slash = 0x2f;
