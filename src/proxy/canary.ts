/** Which of a route's canaries a request goes to: a header decides before a cookie, a cookie before chance. */
import type { Exchange } from "../features/exchange.ts";
import { cookie } from "../features/hash-key.ts";
import type { CanaryHeader, CanaryRule } from "../model/canary.ts";
import type { Canary } from "../model/snapshot.ts";
import { compileSearch } from "../router/regex.ts";

/** The index of the canary that takes the request; -1: the main backend does. Hot. */
export type ChooseCanary = (exchange: Exchange) => number;

/** What a request asks of one canary; null: nothing, so that chance decides. */
type Asked = boolean | null;

/** `random` gives numbers from 0 to just below 1. */
export function compileCanaries(canaries: readonly Pick<Canary, "rule">[], random: () => number): ChooseCanary {
  const asks = canaries.map(({ rule }) => compileRule(rule));
  const shares = canaries.map(({ rule }) => rule.weight / rule.total);
  return (exchange) => {
    const asked = asks.map((ask) => ask(exchange));
    const wanted = asked.indexOf(true);
    if (wanted !== -1) return wanted;
    let drawn = random();
    for (let index = 0; index < shares.length; index++) {
      // Who asks for one canary not to serve leaves the others as they are.
      if (asked[index] === false) continue;
      drawn -= shares[index] ?? 0;
      if (drawn < 0) return index;
    }
    return -1;
  };
}

function compileRule({ header, cookie: name }: CanaryRule): (exchange: Exchange) => Asked {
  const byHeader = header === null ? null : compileHeader(header);
  return (exchange) => {
    const asked = byHeader === null ? null : byHeader(exchange);
    return asked ?? (name === null ? null : word(cookie(exchange, name)));
  };
}

function compileHeader({ name, value, pattern }: CanaryHeader): (exchange: Exchange) => Asked {
  if (value !== null) return (exchange) => (exchange.header(name) === value ? true : null);
  if (pattern === null) return (exchange) => word(exchange.header(name) ?? null);
  const search = compileSearch(pattern);
  if ("refused" in search) throw new Error(`a canary has a pattern that cannot be matched: ${search.refused}`);
  return (exchange) => {
    const sent = exchange.header(name);
    return sent !== undefined && search.test(sent) ? true : null;
  };
}

function word(text: string | null): Asked {
  return text === "always" ? true : text === "never" ? false : null;
}
