/**
 * Tells the log of each problem once when it appears and once when it is gone, however often the objects are translated
 * in between.
 */
import type { Log } from "../log.ts";
import { formatProblem, type Problem } from "../model/problem.ts";

/** Lines a change may write of either sort; ten thousand broken objects at start must not bury everything else. */
const longestList = 50;

export class ProblemLog {
  readonly #log: Log;
  #told: ReadonlySet<string> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `problems` are all that there are now. */
  tell(problems: readonly Problem[]): void {
    const current = new Set(problems.map(formatProblem));
    const fresh = [...current].filter((line) => !this.#told.has(line));
    const gone = [...this.#told].filter((line) => !current.has(line));
    this.#told = current;
    for (const line of fresh.slice(0, longestList)) this.#log.warn(line);
    if (fresh.length > longestList)
      this.#log.warn(`and ${fresh.length - longestList} more problems; /problems on the admin port lists them all`);
    for (const line of gone.slice(0, longestList)) this.#log.info(`no longer: ${line}`);
    if (gone.length > longestList) this.#log.info(`and ${gone.length - longestList} more problems are gone`);
  }
}
