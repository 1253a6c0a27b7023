/**
 * A distinguished name as RFC 2253 writes it and nginx's $ssl_client_s_dn gives it, from the form that Node has: one line
 * for each part, in the order of the certificate, the values escaped by OpenSSL but for bytes above 127.
 */

/** Printable ASCII without line breaks, whatever the certificate holds. */
export function distinguishedName(lines: string): string {
  const parts = lines.split("\n").filter((line) => line !== "");
  // RFC 2253, 2.1: the last part first. OpenSSL turns the attributes of one part around as well.
  const turned = parts.map((part) => part.split(" + ").reverse().join("+")).reverse();
  return escapeBytes(turned.join(","));
}

/** A byte that is not printable ASCII as a backslash and two hexadecimal digits. */
function escapeBytes(text: string): string {
  return text.replace(/[^\x20-\x7e]+/gu, (run) =>
    [...Buffer.from(run.toWellFormed(), "utf8")]
      .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}
