/**
 * Short texts that come again and again, each kept as one string: what was found in the bytes of a head costs a look instead
 * of a new string, and is found in a Map without being hashed again. Hot.
 */

/** Places, a power of two; a text goes where its hash says, in the place of what was there. */
const places = 512;
/** Characters; longer ones are rare, and memory for clients to fill. */
const longest = 64;

export class KnownTexts {
  readonly #texts: string[] = new Array<string>(places).fill("");

  /** The known text that stands in `text` between the offsets; "" when it is not known. */
  find(text: string, start: number, end: number): string {
    if (end - start > longest) return "";
    const known = this.#texts[placeOf(text, start, end)] as string;
    return known.length === end - start && text.startsWith(known, start) ? known : "";
  }

  /** Keeps what stands between the offsets; returns it. */
  add(text: string, start: number, end: number): string {
    const found = text.slice(start, end);
    if (found.length > longest || found === "") return found;
    // The key of an object is the one kind of string that a Map looks up without a call out of compiled code.
    const [kept = found] = Object.keys({ [found]: true });
    this.#texts[placeOf(text, start, end)] = kept;
    return kept;
  }
}

function placeOf(text: string, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (hash * 31 + text.charCodeAt(at)) | 0;
  return hash & (places - 1);
}
