/**
 * Finds the first of a host's regular expressions that matches, in their order of precedence. Only expressions whose
 * leading text the path begins with are run: they are found in a tree, so a thousand expressions below different
 * directories cost about as much as one.
 */
import { compareRegexSources } from "../model/path.ts";
import { childOf, type RadixNode, RadixTree } from "./radix-tree.ts";
import type { Regex } from "./regex.ts";

export interface RegexRoute<V> {
  readonly source: string;
  readonly regex: Regex;
  readonly value: V;
}

export class RegexRoutes<V> {
  readonly #tree = new RadixTree<Level<V>>();

  /** `routes` in any order; of two with the same source the first one counts. */
  constructor(routes: readonly RegexRoute<V>[]) {
    const ranked = routes
      .toSorted((a, b) => compareRegexSources(a.source, b.source))
      .map((route, rank): RankedRoute<V> => ({ ...route, rank }));
    // Shorter leading texts first: when a level is made, all levels above it are there.
    for (const route of ranked.toSorted((a, b) => a.regex.leading.length - b.regex.leading.length)) {
      const above = this.#deepest(route.regex.leading);
      const node = this.#tree.place(route.regex.leading);
      node.entry ??= { routes: [], above };
      node.entry.routes.push(route);
    }
  }

  /** Hot path. */
  find(path: string): RegexRoute<V> | null {
    let best: RankedRoute<V> | null = null;
    for (let level = this.#deepest(path); level !== null; level = level.above) {
      for (const route of level.routes) {
        if (best !== null && best.rank < route.rank) {
          break;
        }
        if (route.regex.test(path)) {
          best = route;
          break;
        }
      }
    }
    return best;
  }

  /** The level of the longest leading text that `path` begins with, without regard to case. */
  #deepest(path: string): Level<V> | null {
    let node: RadixNode<Level<V>> = this.#tree.root;
    let deepest = node.entry;
    for (let at = 0; at < path.length; ) {
      const next = childOf(node, lowerCode(path, at));
      if (next === undefined || !beginsWith(path, at, next.label)) {
        break;
      }
      at += next.label.length;
      node = next;
      deepest = node.entry ?? deepest;
    }
    return deepest;
  }
}

interface RankedRoute<V> extends RegexRoute<V> {
  /** Place in the order of precedence, 0 first. */
  readonly rank: number;
}

/** The routes with one leading text, by rank, and the next shorter leading text that this one begins with. */
interface Level<V> {
  readonly routes: RankedRoute<V>[];
  readonly above: Level<V> | null;
}

/** Whether `path` holds `label`, which is in lower case, at `at`. */
function beginsWith(path: string, at: number, label: string): boolean {
  for (let index = 0; index < label.length; index++) {
    if (lowerCode(path, at + index) !== label.charCodeAt(index)) {
      return false;
    }
  }
  return true;
}

/** The byte at `at`, an ASCII letter in lower case; NaN behind the end. */
function lowerCode(path: string, at: number): number {
  const code = path.charCodeAt(at);
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}
