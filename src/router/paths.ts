/**
 * Finds the exact path or the longest path prefix among the literal routes of one host. A radix tree over bytes: a
 * lookup reads each byte of the path once at most, stops where the registered paths stop, allocates nothing and hashes
 * nothing, so neither the number of routes nor a path of eight thousand slashes makes it slower.
 */

/** A literal route: an exact path serves that path alone, a prefix every path that continues it at an element boundary. */
export interface LiteralRoute<V> {
  readonly exact: boolean;
  readonly value: V;
}

export class PathTree<V> {
  readonly #root: Node<V> = node("");

  /** `path` is a byte string. The first route added under a path keeps it. */
  add(path: string, route: LiteralRoute<V>): void {
    if (route.exact) {
      this.#place(path).exact ??= route;
    } else {
      // A prefix matches by elements, so its trailing slash says nothing; "/" becomes "", which every path continues.
      this.#place(path.endsWith("/") ? path.slice(0, -1) : path).prefix ??= route;
    }
  }

  /** The exact route of `path`, else the longest prefix by path element, else null. Hot path. */
  find(path: string): LiteralRoute<V> | null {
    let longest: LiteralRoute<V> | null = null;
    let at = 0;
    for (let current = this.#root; ; ) {
      if (at === path.length) {
        return current.exact ?? current.prefix ?? longest;
      }
      const code = path.charCodeAt(at);
      if (current.prefix !== null && code === slash) {
        longest = current.prefix;
      }
      const next = childOf(current, code);
      if (next === undefined || !path.startsWith(next.label, at)) {
        return longest;
      }
      at += next.label.length;
      current = next;
    }
  }

  /** The node that stands for `path`, made when there is none. */
  #place(path: string): Node<V> {
    let current = this.#root;
    let at = 0;
    while (at < path.length) {
      const next = childOf(current, path.charCodeAt(at));
      if (next === undefined) {
        const leaf = node<V>(path.slice(at));
        addChild(current, leaf);
        return leaf;
      }
      const shared = sharedLength(next.label, path, at);
      current = shared === next.label.length ? next : split(current, next, shared);
      at += shared;
    }
    return current;
  }
}

interface Node<V> {
  /** The bytes between the parent and this node. */
  label: string;
  exact: LiteralRoute<V> | null;
  prefix: LiteralRoute<V> | null;
  /** The first byte of each child's label, in the order of `children`. */
  firsts: string;
  children: readonly Node<V>[];
}

const slash = 0x2f;

/** Shared by all leaves: most nodes are leaves. */
const none: readonly never[] = [];

function node<V>(label: string): Node<V> {
  return { label, exact: null, prefix: null, firsts: "", children: none };
}

function childOf<V>(parent: Node<V>, code: number): Node<V> | undefined {
  const { firsts } = parent;
  for (let index = 0; index < firsts.length; index++) {
    if (firsts.charCodeAt(index) === code) {
      return parent.children[index];
    }
  }
  return undefined;
}

function addChild<V>(parent: Node<V>, child: Node<V>): void {
  parent.firsts += child.label.charAt(0);
  parent.children = [...parent.children, child];
}

/** How many bytes of `label` are found in `path` from `at` on. */
function sharedLength(label: string, path: string, at: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === path.charCodeAt(at + length)) {
    length++;
  }
  return length;
}

/** Puts a node between `parent` and `child`, after the first `length` bytes of the child's label. */
function split<V>(parent: Node<V>, child: Node<V>, length: number): Node<V> {
  const middle = node<V>(child.label.slice(0, length));
  child.label = child.label.slice(length);
  parent.children = parent.children.map((other) => (other === child ? middle : other));
  addChild(middle, child);
  return middle;
}
