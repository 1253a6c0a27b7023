/** Texts that are kept for longer than the head that they were found in. */

/** V8 copies a part that is shorter than this; making it a text of its own once more would only make it harder to compare. */
const shortest = 13;

/** The same text in one piece and in memory of its own: a slice that is kept keeps all of what it was cut from. */
export function ownCopy(text: string): string {
  return text.length < shortest ? text : Buffer.from(text, "utf8").toString("utf8");
}
