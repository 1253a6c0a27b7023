/**
 * What a message from another thread brings has a copy of its own of every string, as often as the string occurs: of a
 * hundred thousand routes most strings are the name of the same few Ingresses, Services and paths.
 */

/** Replaces equal strings within a value that was just received, and belongs to nobody else yet, by one of them. */
export function shareStrings(received: object): void {
  const texts = new Map<string, string>();
  const seen = new Set<object>();
  const waiting: object[] = [received];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    const fields = value as Record<string, unknown>;
    for (const name in fields) {
      const field = fields[name];
      if (typeof field === "string") {
        const known = texts.get(field);
        if (known === undefined) texts.set(field, field);
        else fields[name] = known;
      } else if (typeof field === "object" && field !== null && !seen.has(field)) {
        seen.add(field);
        waiting.push(field);
      }
    }
  }
}
