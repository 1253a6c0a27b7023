/**
 * The header lines of a response as features edit them. Only routes whose features ask for it pay: the lines are taken
 * apart, changed and joined again.
 */
import type { ResponseEdit, ResponseHook } from "../features/exchange.ts";
import { fieldLine } from "../wire/reply.ts";
import type { RequestExchange } from "./exchange.ts";

/** Runs the hooks over `lines` ("Name: value\r\n" each) and returns the lines that come out. */
export function editResponse(lines: string, hooks: readonly ResponseHook[], exchange: RequestExchange): string {
  const edit = new HeaderLines(lines, exchange.status);
  for (const hook of hooks) hook(exchange, edit);
  return edit.text();
}

class HeaderLines implements ResponseEdit {
  readonly status: number;
  #lines: string[];

  constructor(text: string, status: number) {
    this.status = status;
    this.#lines = text.split("\r\n");
    this.#lines.pop();
  }

  get(name: string): string | undefined {
    const values = this.#lines.filter((line) => isNamed(line, name)).map((line) => line.slice(name.length + 1).trim());
    return values.length === 0 ? undefined : values.join(", ");
  }

  set(name: string, value: string): void {
    this.remove(name);
    this.add(name, value);
  }

  add(name: string, value: string): void {
    // The last place before the wire: fieldLine lets no value make a second line.
    const line = fieldLine(name, value);
    if (line !== "") this.#lines.push(line.slice(0, -2));
  }

  remove(name: string): void {
    this.#lines = this.#lines.filter((line) => !isNamed(line, name));
  }

  text(): string {
    return this.#lines.map((line) => `${line}\r\n`).join("");
  }
}

function isNamed(line: string, name: string): boolean {
  return (
    line.length > name.length &&
    line.charCodeAt(name.length) === 58 &&
    line.slice(0, name.length).toLowerCase() === name.toLowerCase()
  );
}
