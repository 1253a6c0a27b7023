/**
 * The key of a consistent hash as ingress-nginx takes it: text with nginx's variables, `$request_uri` or
 * `${host}-$http_x_user`. Parsed once; for requests it is a list of functions, for nginx.conf an argument.
 */
import type { Exchange } from "./exchange.ts";
import { type NginxArg, quote } from "./feature.ts";

/** A piece of a key: text as it stands, or the variable of that name. */
export type KeyPart = { readonly text: string } | { readonly variable: string };

type Value = (exchange: Exchange) => string;

/** Variables without a parameter, as nginx spells them. */
const variables: Readonly<Record<string, Value>> = {
  args: ({ query }) => query ?? "",
  document_uri: ({ path }) => path,
  host: ({ host }) => host,
  is_args: ({ query }) => (query === null || query === "" ? "" : "?"),
  query_string: ({ query }) => query ?? "",
  remote_addr: ({ clientAddress }) => clientAddress,
  request_method: ({ method }) => method,
  request_uri: ({ target }) => target,
  scheme: ({ scheme }) => scheme,
  uri: ({ path }) => path,
};

/** The same address, in a form that only nginx has. */
const synonyms: ReadonlyMap<string, string> = new Map([["binary_remote_addr", "remote_addr"]]);

/** Variables that name a header, a parameter of the query or a cookie behind their prefix. */
const families: Readonly<Record<string, (name: string) => Value>> = {
  // nginx writes a header's name in lower case, with underscores in the place of dashes.
  http_: (name) => {
    const header = name.replaceAll("_", "-");
    return (exchange) => exchange.header(header) ?? "";
  },
  arg_:
    (name) =>
    ({ query }) =>
      query === null ? "" : firstValue(query, name),
  cookie_: (name) => (exchange) => cookie(exchange, name) ?? "",
};

/** The names for messages and the reference. */
export const hashVariables: readonly string[] = [
  ...Object.keys(variables).map((name) => `$${name}`),
  ...Object.keys(families).map((prefix) => `$${prefix}NAME`),
];

/** Far beyond any real key. */
const longestKey = 512;

/** The parts of a key, or why it is none, as the end of a sentence. */
export function parseHashKey(text: string): { readonly parts: readonly KeyPart[] } | { readonly wrong: string } {
  if (text.length > longestKey) return { wrong: `it is longer than ${longestKey} characters` };
  // Control characters would end the line in a configuration.
  if (/[^ -~]/.test(text)) return { wrong: "only printable ASCII characters can stand in it" };
  const parts: KeyPart[] = [];
  for (const [piece, braced, bare] of text.matchAll(/\$\{([a-zA-Z0-9_]+)\}|\$([a-zA-Z0-9_]+)|[^$]+|\$/g)) {
    const written = (braced ?? bare)?.toLowerCase();
    const name = written === undefined ? undefined : (synonyms.get(written) ?? written);
    if (piece === "$") return { wrong: '"$" must begin a variable' };
    if (name === undefined) parts.push({ text: piece });
    else if (valueOfVariable(name) === null) return { wrong: `${quote(piece)} is no variable that Sluice has` };
    else parts.push({ variable: name });
  }
  return parts.some((part) => "variable" in part) ? { parts } : { wrong: "it has no variable, so all keys are equal" };
}

/** The key of a request: one char a byte. Throws for a text that parseHashKey refuses. */
export function compileHashKey(text: string): Value {
  const parsed = parseHashKey(text);
  if ("wrong" in parsed) throw new Error(`the key ${quote(text)} cannot be compiled: ${parsed.wrong}`);
  const values = parsed.parts.map((part): Value => ("text" in part ? () => part.text : variable(part.variable)));
  const [first] = values;
  if (values.length === 1 && first !== undefined) return first;
  return (exchange) => {
    let key = "";
    for (const value of values) key += value(exchange);
    return key;
  };
}

/** The key as nginx reads it. Throws as compileHashKey. */
export function hashKeyArgument(text: string): NginxArg {
  const parsed = parseHashKey(text);
  if ("wrong" in parsed) throw new Error(`the key ${quote(text)} cannot be written: ${parsed.wrong}`);
  return parsed.parts.map((part) => ("text" in part ? part.text : { nginx: `$${part.variable}` }));
}

/** The value of a request's cookie, null when it has none of that name. Names are compared as nginx does, in any case. */
export function cookie(exchange: Pick<Exchange, "header">, name: string): string | null {
  const header = exchange.header("cookie");
  if (header === undefined) return null;
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim().toLowerCase() === name) return pair.slice(equals + 1).trim();
  }
  return null;
}

function variable(name: string): Value {
  const value = valueOfVariable(name);
  if (value === null) throw new Error(`there is no variable ${quote(name)}`);
  return value;
}

function valueOfVariable(name: string): Value | null {
  const plain = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (plain !== undefined) return plain;
  for (const [prefix, family] of Object.entries(families)) {
    if (name.startsWith(prefix) && name.length > prefix.length) return family(name.slice(prefix.length));
  }
  return null;
}

/** The first value of a parameter, as it stands in the query; "" when there is none. */
function firstValue(query: string, name: string): string {
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).toLowerCase() === name) return pair.slice(equals + 1);
  }
  return "";
}
