/**
 * Values of plain YAML (plain-yaml.ts), each on one line: texts, numbers, booleans, and lists and mappings in brackets. What
 * YAML could mean otherwise than it looks is not read here.
 */

/** Characters. YAML knows no keys of more than 1024, wherever they stand. */
const longestKey = 200;

/** Beyond this the whole parser says whether it is too deep. */
const deepest = 20;

/** True for a key that is text, whatever reads it. */
export function isPlainKey(text: string): boolean {
  return text.length <= longestKey && isName.test(text) && !isWord.test(text);
}

const isName = /^[A-Za-z][A-Za-z0-9./_-]*$/;
/** What looks like text, and is none; in other cases than these some of it is. */
const isWord = /^(?:null|y|yes|n|no|true|false|on|off)$/i;

/** What stands on the rest of a line, without spaces at either end; undefined: it is not as plain as that. */
export function readPlainValue(text: string): unknown {
  return text.startsWith("[") || text.startsWith("{") ? new Flow(text).read() : readScalar(text);
}

function readScalar(text: string): unknown {
  if (isText.test(text)) return isWord.test(text) ? readWord(text) : text;
  if (isNumber.test(text)) return Number(text);
  if (isAddress.test(text)) return text;
  return isQuoted.test(text) ? text.slice(1, -1) : undefined;
}

/** Begins with a letter or a slash; no comment, and no colon that could end a key. */
const isText = /^[A-Za-z/](?:[^#:]|:(?=[^ #:]))*$/;
/** In decimal, and exact. */
const isNumber = /^(?:0|-?[1-9][0-9]{0,14})$/;
const isAddress = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$/;
/** Nothing inside is written in another way than it is meant. */
const isQuoted = /^(?:"[^"\\]*"|'[^']*')$/;

function readWord(text: string): boolean | undefined {
  if (text === "true") return true;
  return text === "false" ? false : undefined;
}

/** A list or a mapping in brackets. */
class Flow {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    const value = this.#value();
    return this.#at === this.#text.length ? value : undefined;
  }

  #value(): unknown {
    switch (this.#text[this.#at]) {
      case "[":
        return this.#inside("]", [], (list) => this.#entry(list));
      case "{":
        return this.#inside("}", {}, (mapping) => this.#pair(mapping));
      default:
        return readScalar(this.#match(flowScalar));
    }
  }

  /** Commas stand between entries alone; `add` takes one of them, and says whether it could. */
  #inside<T>(end: "]" | "}", value: T, add: (value: T) => boolean): T | undefined {
    this.#depth += 1;
    if (this.#depth > deepest) return undefined;
    this.#at += 1;
    this.#match(spaces);
    if (this.#text[this.#at] !== end) {
      do {
        this.#match(spaces);
        if (!add(value)) return undefined;
        this.#match(spaces);
      } while (this.#match(comma) !== "");
      if (this.#text[this.#at] !== end) return undefined;
    }
    this.#at += 1;
    this.#depth -= 1;
    return value;
  }

  #entry(list: unknown[]): boolean {
    const value = this.#value();
    list.push(value);
    return value !== undefined;
  }

  #pair(mapping: Record<string, unknown>): boolean {
    const key = this.#match(flowKey).trimEnd().slice(0, -1);
    if (!isPlainKey(key) || Object.hasOwn(mapping, key)) return false;
    const value = this.#value();
    mapping[key] = value;
    return value !== undefined;
  }

  /** What the pattern, which is sticky, finds here; "" when that is nothing. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }
}

const spaces = / */y;
const comma = /,/y;
const flowKey = /[A-Za-z0-9./_-]+: +/y;
/** Up to what ends it: a comma, a bracket, or spaces in front of one. */
const flowScalar = /(?:"[^"\\]*"|'[^']*'|[A-Za-z0-9./_-]+)(?= *[,\]}])/y;
