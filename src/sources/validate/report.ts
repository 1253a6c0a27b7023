/**
 * Collects what is wrong with one object, as Problems by field. It decides how a value is quoted and how many Problems
 * one object may cause; what is wrong is decided by the reader of each kind.
 */
import type { ObjectRef, Origin, Problem, ProblemCode } from "../../model/problem.ts";

/** More than this says nothing new, and a hostile object could fill the memory with Problems. */
const mostProblems = 20;

const longestQuote = 100;

export class Report {
  readonly problems: Problem[] = [];
  readonly #object: ObjectRef;
  readonly #origin: Origin | undefined;
  readonly #blamed = new Set<string>();
  #omitted = 0;

  constructor(object: ObjectRef, origin: Origin | undefined) {
    this.#object = object;
    this.#origin = origin;
  }

  /** True while nothing is wrong. */
  get clean(): boolean {
    return this.problems.length === 0;
  }

  /**
   * The message begins in lower case, quotes the value and ends with what to do. Ignored when the field, or one that it
   * is part of, is blamed already: what is missing below a wrong type is no second mistake.
   */
  invalid(field: string, message: string, code: ProblemCode = "InvalidObject"): void {
    if (this.#isBlamed(field)) return;
    if (this.problems.length < mostProblems) {
      this.#blamed.add(field);
      this.problems.push(this.#problem(field, message, code));
      return;
    }
    this.#omitted += 1;
    const omitted = `${this.#omitted} more fields are invalid; correct the ones listed first`;
    this.problems[mostProblems] = this.#problem("", omitted, "InvalidObject");
  }

  /** True when neither the field nor anything below it is blamed. */
  isClean(field: string): boolean {
    for (const blamed of this.#blamed) {
      if (blamed === field || blamed.startsWith(`${field}.`) || blamed.startsWith(`${field}[`)) return false;
    }
    return true;
  }

  #isBlamed(field: string): boolean {
    for (
      let end = field.length;
      end > 0;
      end = Math.max(field.lastIndexOf(".", end - 1), field.lastIndexOf("[", end - 1))
    ) {
      if (this.#blamed.has(field.slice(0, end))) return true;
    }
    return false;
  }

  #problem(field: string, message: string, code: ProblemCode): Problem {
    const problem = { code, object: this.#object, field, message };
    return this.#origin === undefined ? problem : { ...problem, origin: this.#origin };
  }
}

/** The value as a message shows it: text in quotes and cut, numbers as they are, lists and mappings by their type. */
export function quote(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length <= longestQuote ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, longestQuote))}…`;
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "a mapping";
    default:
      return "nothing";
  }
}
