/**
 * The field lines of a head, request or response: validated byte by byte and located by offset, in one pass that copies
 * nothing. What passes on unchanged is taken as slices of the text, one slice for each run of lines.
 */
import { tokenBytes, valueBytes } from "./characters.ts";
import { type HeadError, refuse } from "./head-error.ts";
import { codeOfName, known } from "./names.ts";

export interface FieldRules {
  /** By code of a known name, 1: not passed on. */
  readonly dropped: Uint8Array;
  /** The most field lines accepted. */
  readonly most: number;
}

/** Offsets kept for each field: name start and end, value start and end. */
const stride = 4;
const initialFields = 16;

/** Reused from head to head; grows to the largest number of fields seen. */
export class Fields {
  text = "";
  count = 0;
  /** Bit n: a field of known name n is present; is present more than once. */
  present = 0;
  repeated = 0;
  /** The lines to pass on, each "Name: value\r\n". */
  forwarded = "";
  offsets = new Uint32Array(initialFields * stride);
  codes = new Uint8Array(initialFields);
  /** By code, the index of the first field of that name; valid where `present` has the bit. */
  readonly first = new Uint8Array(32);

  has(code: number): boolean {
    return (this.present & (1 << code)) !== 0;
  }

  hasSeveral(code: number): boolean {
    return (this.repeated & (1 << code)) !== 0;
  }

  /** Offset of the value of the first field of that known name. */
  valueStart(code: number): number {
    return this.offsets[(this.first[code] as number) * stride + 2] as number;
  }

  /** Offset after that value. */
  valueEnd(code: number): number {
    return this.offsets[(this.first[code] as number) * stride + 3] as number;
  }

  /** As value(), for a known name. Hot: most of them are absent. */
  valueOf(code: number): string | undefined {
    if (!this.has(code)) return undefined;
    let joined = this.text.slice(this.valueStart(code), this.valueEnd(code));
    if (!this.hasSeveral(code)) return joined;
    for (let index = (this.first[code] as number) + 1; index < this.count; index++) {
      if (this.codes[index] !== code) continue;
      const base = index * stride;
      joined += `, ${this.text.slice(this.offsets[base + 2] as number, this.offsets[base + 3] as number)}`;
    }
    return joined;
  }

  /** The value of every field of that lower-case name, joined by ", "; undefined when there is none. */
  value(name: string): string | undefined {
    let joined: string | undefined;
    for (let index = 0; index < this.count; index++) {
      const base = index * stride;
      const start = this.offsets[base] as number;
      const end = this.offsets[base + 1] as number;
      if (end - start !== name.length || !foldsTo(this.text, start, name)) continue;
      const value = this.text.slice(this.offsets[base + 2] as number, this.offsets[base + 3] as number);
      joined = joined === undefined ? value : `${joined}, ${value}`;
    }
    return joined;
  }

  /** Writes `forwarded` again without the fields whose lower-case name is refused. */
  drop(rules: FieldRules, isRefused: (name: string) => boolean): void {
    let forwarded = "";
    for (let index = 0; index < this.count; index++) {
      if (rules.dropped[this.codes[index] as number] === 1) continue;
      const base = index * stride;
      const name = this.text.slice(this.offsets[base] as number, this.offsets[base + 1] as number);
      if (isRefused(name.toLowerCase())) continue;
      const value = this.text.slice(this.offsets[base + 2] as number, this.offsets[base + 3] as number);
      forwarded += `${name}: ${value}\r\n`;
    }
    this.forwarded = forwarded;
  }

  grow(): void {
    const offsets = new Uint32Array(this.offsets.length * 2);
    offsets.set(this.offsets);
    this.offsets = offsets;
    const codes = new Uint8Array(this.codes.length * 2);
    codes.set(this.codes);
    this.codes = codes;
  }
}

/**
 * Reads the field lines of `text`, whose bytes are given too, from the offset `from` to the end, which the caller has seen
 * to be an empty line: so no loop here runs past it. Hot: most of what a request costs in this folder. RFC 9112 section 5.
 */
export function parseFields(
  fields: Fields,
  text: string,
  bytes: Uint8Array,
  from: number,
  rules: FieldRules,
): HeadError | null {
  const { dropped, most } = rules;
  let offsets = fields.offsets;
  let codes = fields.codes;
  const first = fields.first;
  let count = 0;
  let present = 0;
  let repeated = 0;
  let forwarded = "";
  let run = from;
  let at = from;

  fields.text = text;
  fields.count = 0;

  for (;;) {
    const line = at;
    let kinds = 0;
    for (;;) {
      const kind = tokenBytes[bytes[at] as number] as number;
      if (!(kind > 0)) break;
      kinds |= kind;
      at++;
    }
    if (at === line || bytes[at] !== 0x3a) {
      if (at === line && bytes[at] === 13 && bytes[at + 1] === 10) break;
      return refuseName(text, line, at);
    }
    const nameEnd = at++;
    const afterColon = at;
    let byte = bytes[at] as number;
    while (byte === 0x20 || byte === 9) byte = bytes[++at] as number;
    const valueStart = at;
    while (valueBytes[byte] === 1) byte = bytes[++at] as number;
    if (byte !== 13 || bytes[at + 1] !== 10) return refuseValue(text, line, nameEnd, byte);
    let valueEnd = at;
    if (valueEnd > valueStart) {
      let last = bytes[valueEnd - 1];
      while (last === 0x20 || last === 9) last = bytes[--valueEnd - 1];
    }

    if (count === most) return refuse(431, `more than ${most} header fields`);
    if (count === codes.length) {
      fields.grow();
      offsets = fields.offsets;
      codes = fields.codes;
    }
    const code = kinds > 1 ? known.underscored : codeOfName(bytes, line, nameEnd);
    if (code !== known.other) {
      const bit = 1 << code;
      if ((present & bit) === 0) first[code] = count;
      else repeated |= bit;
      present |= bit;
    }
    const base = count * stride;
    offsets[base] = line;
    offsets[base + 1] = nameEnd;
    offsets[base + 2] = valueStart;
    offsets[base + 3] = valueEnd;
    codes[count++] = code;

    const next = at + 2;
    if (dropped[code] === 1) {
      if (run < line) forwarded += text.slice(run, line);
      run = next;
    } else if (valueEnd !== at || valueStart !== afterColon + 1 || bytes[afterColon] !== 0x20) {
      if (run < line) forwarded += text.slice(run, line);
      forwarded += `${text.slice(line, nameEnd)}: ${text.slice(valueStart, valueEnd)}\r\n`;
      run = next;
    }
    at = next;
  }

  if (at + 2 !== text.length) return refuse(400, "an empty line before the end of the head");
  if (run < at) forwarded += text.slice(run, at);
  fields.count = count;
  fields.present = present;
  fields.repeated = repeated;
  fields.forwarded = forwarded;
  return null;
}

/** As sameName, for any text. */
function foldsTo(text: string, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = text.charCodeAt(start + index);
    const folded = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if (folded !== name.charCodeAt(index)) return false;
  }
  return true;
}

function refuseName(text: string, line: number, at: number): HeadError {
  const byte = text.charCodeAt(at);
  if (at === line && (byte === 0x20 || byte === 9)) return refuse(400, "a header line that begins with white space");
  if (byte === 0x20 || byte === 9) return refuse(400, "white space before the colon of a header", text.slice(line, at));
  if (byte === 0x3a) return refuse(400, "a header without a name");
  if (byte === 10) return refuse(400, "a bare LF in the header");
  if (byte === 13) return refuse(400, "a header line without a colon", text.slice(line, at));
  return refuse(400, "an invalid byte in a header name", text.slice(line, at + 1));
}

function refuseValue(text: string, line: number, nameEnd: number, byte: number): HeadError {
  const name = text.slice(line, nameEnd);
  if (byte === 13) return refuse(400, "a bare CR in the value of a header", name);
  if (byte === 10) return refuse(400, "a bare LF after the value of a header", name);
  return refuse(400, "a control byte in the value of a header", name);
}
