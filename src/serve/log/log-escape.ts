/** How text that anybody may have sent is written into a line of a log: as printable ASCII that ends no field. */

/** Anything but printable ASCII without the quote and the backslash: text without it is written as it is. */
export const unclean = /[^ !#-[\]-~]/;

/** Everything but printable ASCII as \uXXXX, so that no reader, whatever it thinks of C1 or bidirectional controls, is misled. */
export function escapeJson(text: string): string {
  if (!unclean.test(text)) return text;
  return decoded(text).replace(/[^ !#-[\]-~]/g, (unit) =>
    unit === '"' || unit === "\\" ? `\\${unit}` : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** As nginx's own log escapes: \xXX for the quote, the backslash and every byte that is not printable ASCII. */
export function escapeNginx(text: string): string {
  const bytes = Buffer.from(text, isBytes(text) ? "latin1" : "utf8").toString("latin1");
  return bytes.replace(
    /[^ !#-[\]-~]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Bytes that are UTF-8 as the text they stand for; any others as they are. */
function decoded(text: string): string {
  if (!isBytes(text)) return text;
  try {
    return utf8.decode(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isBytes(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0xff) return false;
  }
  return true;
}
