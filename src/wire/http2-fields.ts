/**
 * Header lines of HTTP/1.1 as fields of HTTP/2 and back: names in lower case, no line breaks, the order kept.
 */

/** "Name: value\r\n" lines as the flat list of names and values that node:http2 takes. */
export function fieldsOf(lines: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf("\r\n", at);
    const colon = lines.indexOf(": ", at);
    fields.push(lines.slice(at, colon).toLowerCase(), lines.slice(colon + 2, end));
    at = end + 2;
  }
  return fields;
}

/** For the calls of node:http2 that take no list. */
export function fieldMap(lines: string): Record<string, string[]> {
  const fields = new Map<string, string[]>();
  const list = fieldsOf(lines);
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? "";
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [list[at + 1] ?? ""]);
    else values.push(list[at + 1] ?? "");
  }
  // fromEntries defines properties: a field named "__proto__" is one like any other.
  return Object.fromEntries(fields);
}

/** The flat list of names and values as lines, without pseudo-headers. */
export function linesOf(raw: readonly string[]): string {
  let lines = "";
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.charCodeAt(0) !== 58) lines += `${raw[at]}: ${raw[at + 1]}\r\n`;
  }
  return lines;
}
