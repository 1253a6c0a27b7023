/** HPACK's encoder (src/wire/hpack) as a connection uses it, which has one of its own. */
export interface FieldEncoder {
  /** The table that the peer allows, in bytes. */
  setMaxTableSize(size: number): void;
  begin(): void;
  field(name: string, value: string, sensitive?: boolean): void;
  /** "Name: value\r\n" lines; `neverIndexed`: see FieldList. */
  fieldLines(lines: string, neverIndexed?: readonly string[]): void;
  /** Valid until the next begin(). */
  finish(): Buffer;
}
