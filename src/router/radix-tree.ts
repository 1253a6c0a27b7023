/**
 * A radix tree over byte strings: the structure that literal paths and the leading texts of regular expressions are
 * found in. It hashes nothing, so no choice of keys makes it slow, and a walk reads each byte of its subject once.
 */
export interface RadixNode<E> {
  /** The bytes between the parent and this node. */
  label: string;
  /** What is kept under the key that ends here; null when none does. */
  entry: E | null;
  /** The first byte of each child's label, in the order of `children`. */
  firsts: string;
  children: readonly RadixNode<E>[];
}

export class RadixTree<E> {
  readonly root: RadixNode<E> = makeNode("");

  /** The node that stands for `key`, made when there is none. */
  place(key: string): RadixNode<E> {
    let node = this.root;
    for (let at = 0; at < key.length; ) {
      const next = childOf(node, key.charCodeAt(at));
      if (next === undefined) {
        const leaf = makeNode<E>(key.slice(at));
        addChild(node, leaf);
        return leaf;
      }
      const shared = sharedLength(next.label, key, at);
      node = shared === next.label.length ? next : split(node, next, shared);
      at += shared;
    }
    return node;
  }
}

/** The child whose label begins with the byte `code`. Hot path. */
export function childOf<E>(node: RadixNode<E>, code: number): RadixNode<E> | undefined {
  const { firsts } = node;
  for (let index = 0; index < firsts.length; index++) {
    if (firsts.charCodeAt(index) === code) {
      return node.children[index];
    }
  }
  return undefined;
}

/** Shared by all leaves: most nodes are leaves. */
const childless: readonly never[] = [];

function makeNode<E>(label: string): RadixNode<E> {
  return { label, entry: null, firsts: "", children: childless };
}

function addChild<E>(parent: RadixNode<E>, child: RadixNode<E>): void {
  parent.firsts += child.label.charAt(0);
  parent.children = [...parent.children, child];
}

/** How many bytes of `label` are found in `key` from `at` on. */
function sharedLength(label: string, key: string, at: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === key.charCodeAt(at + length)) {
    length++;
  }
  return length;
}

/** Puts a node between `parent` and `child`, after the first `length` bytes of the child's label. */
function split<E>(parent: RadixNode<E>, child: RadixNode<E>, length: number): RadixNode<E> {
  const middle = makeNode<E>(child.label.slice(0, length));
  child.label = child.label.slice(length);
  parent.children = parent.children.map((other) => (other === child ? middle : other));
  addChild(middle, child);
  return middle;
}
