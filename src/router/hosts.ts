/**
 * Decides which host of the table a request is for: the precise name, else the wildcard one label up, else the host for
 * every name. Once a host is chosen there is no way to another one, as in nginx.
 */

/**
 * The host of a Host header or an authority in the form that hosts are matched on: lower case, without port and without
 * one trailing dot; an IPv6 literal keeps its brackets. "" (an HTTP/1.0 request without Host) stays "". Returns null for
 * what is not a host and optional port (RFC 3986, section 3.2): the request is answered 400.
 */
export function normaliseHost(authority: string): string | null {
  if (authority.charCodeAt(0) === openBracket) {
    return normaliseLiteral(authority);
  }
  // Hot path: most requests name a plain host in lower case, which is returned as it is.
  let upper = false;
  let end = authority.length;
  let previous: number = dotCode;
  for (let at = 0; at < authority.length; at++) {
    const code = authority.charCodeAt(at);
    const kind = nameCharacter[code] ?? 0;
    if (kind === 0) {
      if (code !== colon) {
        return null;
      }
      if (!isPort(authority, at + 1)) {
        return null;
      }
      end = at;
      break;
    }
    if (code === dotCode && previous === dotCode) {
      return null;
    }
    upper ||= kind === 2;
    previous = code;
  }
  if (end === 0) {
    return authority === "" ? "" : null;
  }
  if (previous === dotCode) {
    end--;
  }
  if (end > longestName) {
    return null;
  }
  const name = end === authority.length ? authority : authority.slice(0, end);
  return upper ? name.toLowerCase() : name;
}

/** The hosts of a table by name, with the choice among them. Names are Map keys: V8 seeds their hashes, so no client can make them collide. */
export class HostMap<H> {
  readonly #precise = new Map<string, H>();
  /** By the domain that follows `*.`. */
  readonly #wildcards = new Map<string, H>();
  #everyName: H | null = null;

  /** The first host added under a name keeps it. */
  add(name: string, host: H): void {
    if (this.get(name) !== undefined) {
      return;
    }
    if (name === "") {
      this.#everyName = host;
    } else if (name.startsWith("*.")) {
      this.#wildcards.set(name.slice(2), host);
    } else {
      this.#precise.set(name, host);
    }
  }

  /** The host added under this very name, which may be a wildcard or "". */
  get(name: string): H | undefined {
    if (name === "") {
      return this.#everyName ?? undefined;
    }
    return name.startsWith("*.") ? this.#wildcards.get(name.slice(2)) : this.#precise.get(name);
  }

  /** `name` as `normaliseHost` returns it; null when no host serves it. */
  find(name: string): H | null {
    return this.#precise.get(name) ?? this.#findWildcard(name) ?? this.#everyName;
  }

  /** A wildcard covers exactly one label, so there is one domain to look for. */
  #findWildcard(name: string): H | undefined {
    if (this.#wildcards.size === 0) {
      return undefined;
    }
    const end = name.indexOf(".");
    return end < 1 ? undefined : this.#wildcards.get(name.slice(end + 1));
  }
}

/** RFC 1035, section 2.3.4, in text and without the trailing dot. */
const longestName = 253;

const colon = 0x3a;
const dotCode = 0x2e;
const openBracket = 0x5b;

/** By character code: 1 may stand in a name, 2 is such a letter in upper case. "_" is no DNS host name, yet resolvers and clients use it. */
const nameCharacter = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return /[a-z0-9._-]/.test(character) ? 1 : /[A-Z]/.test(character) ? 2 : 0;
});

/** True when the text from `at` on is a port: no digits (RFC 3986 allows an empty port), or up to 65535. */
function isPort(authority: string, at: number): boolean {
  if (authority.length - at > 5) {
    return false;
  }
  let port = 0;
  for (let index = at; index < authority.length; index++) {
    const digit = authority.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) {
      return false;
    }
    port = port * 10 + digit;
  }
  return port <= 65_535;
}

/** No rule names an address, so the literal is checked for its characters only; it leads to the host for every name. */
function normaliseLiteral(authority: string): string | null {
  const literal = /^\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]/.exec(authority)?.[0];
  if (literal === undefined || literal.length > longestLiteral) {
    return null;
  }
  if (authority.length > literal.length) {
    const port = authority.charCodeAt(literal.length) === colon && isPort(authority, literal.length + 1);
    if (!port) {
      return null;
    }
  }
  return literal.toLowerCase();
}

/** Eight groups, the last two written as IPv4, in brackets. */
const longestLiteral = 47;
