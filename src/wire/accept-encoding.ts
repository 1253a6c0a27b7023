/** Which content coding a client prefers (RFC 9110, 12.5.3): its Accept-Encoding against what we can offer. */

export type ContentCoding = "br" | "gzip";

/** Weights in thousandths, of what the field names; no weight: it says nothing of it. */
interface Weights {
  identity: number | null;
  /** "*": every coding that is not named. */
  others: number | null;
  readonly named: Map<string, number>;
}

/**
 * The coding of `offered`, best first, that the client likes best; null when it takes none of them, or likes the response as
 * it is better. Without the field nothing is offered, for clients that cannot decode do not say so. A member that cannot be
 * read accepts nothing.
 */
export function preferredCoding(field: string | undefined, offered: readonly ContentCoding[]): ContentCoding | null {
  if (field === undefined || field === "") return null;
  const weights = readWeights(field);
  let best: ContentCoding | null = null;
  let most = 0;
  for (const coding of offered) {
    const weight = weights.named.get(coding) ?? weights.others ?? 0;
    if (weight <= most) continue;
    most = weight;
    best = coding;
  }
  return weights.identity !== null && weights.identity > most ? null : best;
}

function readWeights(field: string): Weights {
  const weights: Weights = { identity: null, others: null, named: new Map() };
  for (const member of field.split(",")) {
    const semicolon = member.indexOf(";");
    const name = (semicolon === -1 ? member : member.slice(0, semicolon)).trim().toLowerCase();
    const weight = semicolon === -1 ? 1000 : readWeight(member.slice(semicolon + 1).trim());
    if (name === "identity") weights.identity = lower(weights.identity, weight);
    else if (name === "*") weights.others = lower(weights.others, weight);
    else {
      // An old name that is still the same coding (RFC 9110, 8.4.1.3).
      const coding = name === "x-gzip" ? "gzip" : name;
      weights.named.set(coding, lower(weights.named.get(coding) ?? null, weight));
    }
  }
  return weights;
}

/** What a client says twice counts as it is least wanted. */
function lower(before: number | null, weight: number): number {
  return before === null ? weight : Math.min(before, weight);
}

/** "q=0.5" is 500; 0 for what is no weight. */
function readWeight(text: string): number {
  const value = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i.exec(text)?.[1];
  return value === undefined ? 0 : Math.round(Number(value) * 1000);
}
