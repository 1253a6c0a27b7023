/**
 * Reads an nginx configuration back into directives, by the rules of nginx's own reader (ngx_conf_read_token): which
 * character ends what, which escapes count, and how long an argument may be. It knows no directive and follows no
 * include; where nginx would stop with an error, it throws.
 */
export interface ParsedDirective {
  readonly name: string;
  /** Unquoted. */
  readonly args: readonly string[];
  readonly block: readonly ParsedDirective[] | null;
}

export interface ParsedConfiguration {
  readonly directives: readonly ParsedDirective[];
  /** Without the leading "#". */
  readonly comments: readonly string[];
}

export function parseNginx(text: string): ParsedConfiguration {
  const parser = new Parser(text);
  const directives = parser.readBlock(true);
  return { directives, comments: parser.comments };
}

/** Every directive of that name, at any depth, in the order of the text. */
export function findDirectives(directives: readonly ParsedDirective[], name: string): readonly ParsedDirective[] {
  return directives.flatMap((directive) => [
    ...(directive.name === name ? [directive] : []),
    ...findDirectives(directive.block ?? [], name),
  ]);
}

type Token = { readonly kind: "word"; readonly text: string } | { readonly kind: ";" | "{" | "}" | "end" };

/** nginx reads through a buffer of this many bytes, which an argument or comment has to fit into. */
const bufferSize = 4096;

const space = /[ \t\r\n]/;

class Parser {
  readonly comments: string[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readBlock(outermost: boolean): readonly ParsedDirective[] {
    const directives: ParsedDirective[] = [];
    for (;;) {
      const words: string[] = [];
      let token = this.#token();
      while (token.kind === "word") {
        words.push(token.text);
        token = this.#token();
      }
      if (token.kind === "end" || token.kind === "}") {
        if (words.length > 0 || outermost !== (token.kind === "end")) {
          throw new Error(`an unexpected ${token.kind} at ${this.#at}`);
        }
        return directives;
      }
      const [name, ...args] = words;
      if (name === undefined) {
        throw new Error(`an unexpected "${token.kind}" at ${this.#at}`);
      }
      directives.push({ name, args, block: token.kind === "{" ? this.readBlock(false) : null });
    }
  }

  #token(): Token {
    this.#skip();
    const first = this.#text.charAt(this.#at);
    if (first === "") {
      return { kind: "end" };
    }
    if (first === ";" || first === "{" || first === "}") {
      this.#at++;
      return { kind: first };
    }
    return { kind: "word", text: first === '"' || first === "'" ? this.#quoted(first) : this.#bare() };
  }

  #skip(): void {
    for (;;) {
      const character = this.#text.charAt(this.#at);
      if (character === "#") {
        const end = this.#text.indexOf("\n", this.#at);
        const comment = this.#text.slice(this.#at + 1, end === -1 ? undefined : end);
        this.#limit(comment);
        this.comments.push(comment);
        this.#at = end === -1 ? this.#text.length : end + 1;
      } else if (character !== "" && space.test(character)) {
        this.#at++;
      } else {
        return;
      }
    }
  }

  #quoted(quote: string): string {
    const start = ++this.#at;
    while (this.#text.charAt(this.#at) !== quote) {
      if (this.#text.charAt(this.#at) === "") {
        throw new Error(`an argument without its end, begun at ${start}`);
      }
      this.#at += this.#text.charAt(this.#at) === "\\" ? 2 : 1;
    }
    const raw = this.#text.slice(start, this.#at++);
    if (!/[ \t\r\n;{)]/.test(this.#text.charAt(this.#at))) {
      throw new Error(`text right behind a quoted argument at ${this.#at}`);
    }
    return this.#unescape(raw);
  }

  #bare(): string {
    const start = this.#at;
    for (;;) {
      const character = this.#text.charAt(this.#at);
      if (character === "") {
        throw new Error(`an argument without its end, begun at ${start}`);
      }
      const opensVariable = character === "{" && this.#text.charAt(this.#at - 1) === "$";
      if (space.test(character) || character === ";" || (character === "{" && !opensVariable)) {
        return this.#unescape(this.#text.slice(start, this.#at));
      }
      this.#at += character === "\\" ? 2 : 1;
    }
  }

  #unescape(raw: string): string {
    this.#limit(raw);
    return raw.replace(/\\(["'\\trn])/g, (_, letter: string) => escapes[letter] ?? letter);
  }

  #limit(raw: string): void {
    if (Buffer.byteLength(raw) >= bufferSize - 2) {
      throw new Error(`${Buffer.byteLength(raw)} bytes before ${this.#at} are too many`);
    }
  }
}

const escapes: Readonly<Record<string, string>> = { t: "\t", r: "\r", n: "\n" };
