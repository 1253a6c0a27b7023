/** The nice levels of a process' threads, as Linux has them. */
import { readdirSync, readFileSync } from "node:fs";

export interface ThreadLevels {
  readonly main: number;
  /** Of the workers, of V8's threads and of libuv's, each ascending. */
  readonly workers: readonly number[];
  readonly v8: readonly number[];
  readonly libuv: readonly number[];
}

export function threadLevels(pid: number): ThreadLevels {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => {
    const name = readFileSync(`/proc/${pid}/task/${id}/comm`, "latin1").trim();
    // The name stands in parentheses and may hold spaces; the level is the 17th field after it.
    const fields = readFileSync(`/proc/${pid}/task/${id}/stat`, "latin1").split(") ").pop()?.split(" ") ?? [];
    return { id: Number(id), name, level: Number(fields[16]) };
  });
  const of = (part: string) =>
    threads
      .filter(({ name }) => name.includes(part))
      .map(({ level }) => level)
      .sort((a, b) => a - b);
  const main = threads.find(({ id }) => id === pid)?.level ?? Number.NaN;
  return { main, workers: of("sluice-worker"), v8: of("V8Worker"), libuv: of("libuv-worker") };
}
