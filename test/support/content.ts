/**
 * Bodies that tell whose they are: every byte follows from the number of the exchange and its place, so that a byte of
 * another exchange, or of another place, is noticed wherever it turns up.
 */
import type { Readable, Writable } from "node:stream";

export type Random = (below: number) => number;

/** The longest body, in bytes. */
export const contentAtMost = 8 * 1_048_576;
const offsets = 1_048_573;

/** Hexadecimal digits, so that compression has something to do; no part of it comes again. */
const noise = makeNoise(offsets + contentAtMost);

/** The body of that exchange, as a view of memory that is never written again. */
export function contentOf(exchange: number, length: number): Buffer {
  const from = (exchange * 7_919) % offsets;
  return noise.subarray(from, from + length);
}

/** mulberry32: the same numbers from the same seed. */
export function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Compares a body with what it should be while it comes, and now and then lets its sender wait. */
export function checkContent(from: Readable, exchange: number, length: number, random: Random): Promise<void> {
  const expected = contentOf(exchange, length);
  let at = 0;
  let stalled = false;
  return new Promise((resolve, reject) => {
    from.on("data", (chunk: Buffer) => {
      const wanted = expected.subarray(at, at + chunk.length);
      if (!chunk.equals(wanted)) {
        const wrong = chunk.findIndex((byte, index) => byte !== wanted[index]);
        reject(new Error(`exchange ${exchange}: byte ${at + wrong} of ${length} is another's`));
        from.destroy();
        return;
      }
      at += chunk.length;
      // The kernel takes megabytes for a reader that stalls: a long body shows what happens when it takes no more.
      const stalls = length > stallsAbove && !stalled;
      if (!stalls && random(24) > 0) return;
      stalled = true;
      from.pause();
      setTimeout(() => from.resume(), stalls ? 150 : random(4));
    });
    from.on("end", () => {
      if (at === length) resolve();
      else reject(new Error(`exchange ${exchange}: ended after ${at} of ${length} bytes`));
    });
    from.on("error", (error) =>
      reject(new Error(`exchange ${exchange}: after ${at} of ${length} bytes: ${error.message}`)),
    );
    from.on("close", () => reject(new Error(`exchange ${exchange}: closed after ${at} of ${length} bytes`)));
  });
}

/** Writes a body in pieces of any size, sometimes with a pause between them, and ends it when `last` says so. */
export async function sendContent(
  to: Writable,
  exchange: number,
  length: number,
  random: Random,
  last: Promise<unknown> = Promise.resolve(),
): Promise<void> {
  const content = contentOf(exchange, length);
  for (let at = 0; at < length; ) {
    const end = Math.min(length, at + 1 + random(pieceSizes[random(pieceSizes.length)] as number));
    // The end of an answer before that of the request would have the rest of the request thrown away.
    if (end === length) await last;
    if (to.destroyed) return;
    const goesOn = to.write(content.subarray(at, end));
    at = end;
    if (!goesOn) await drained(to);
    else if (random(16) === 0) await new Promise((resolve) => setTimeout(resolve, random(3)));
  }
  await last;
  if (!to.destroyed) to.end();
}

/** Bytes. */
const stallsAbove = 4 * 1_048_576;
const pieceSizes = [1, 100, 4_096, 16_384, 70_000, 262_144];

function drained(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      to.off("drain", done).off("close", done);
      resolve();
    };
    to.on("drain", done).on("close", done);
  });
}

function makeNoise(length: number): Buffer {
  const random = seeded(4_711);
  const made = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; at++) made[at] = "0123456789abcdef".charCodeAt(random(16));
  return made;
}
