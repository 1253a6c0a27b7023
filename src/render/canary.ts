/**
 * The canary of a route in nginx.conf: maps of its header and its cookie, and split_clients for chance, end in one variable
 * that proxy_pass names the upstream by. nginx asks for a header before a cookie before chance, as Sluice does.
 */
import { createHash } from "node:crypto";
import type { NginxArg, NginxMap, NginxSplit } from "../features/feature.ts";
import type { CanaryRule } from "../model/canary.ts";
import type { Canary, Upstream } from "../model/snapshot.ts";
import { parsePattern } from "../router/regex-syntax.ts";
import { upstreamName } from "./names.ts";
import { toPcre } from "./pcre.ts";

export interface CanaryText {
  /** What stands for the name of the upstream. */
  readonly upstream: NginxArg;
  readonly maps: readonly (NginxMap | NginxSplit)[];
  /** What nginx does otherwise, one sentence each. */
  readonly inexact: readonly string[];
}

export function writeCanary(
  canaries: readonly Canary[],
  main: Upstream,
  upstreams: ReadonlyMap<string, Upstream>,
  can: {
    /** There is a block for the upstream; without one, its canary takes nothing, as in Sluice. */
    readonly isUsable: (upstream: Upstream) => boolean;
    /** The location speaks to it as it does to `main`. */
    readonly spokenAlike: (upstream: Upstream) => boolean;
  },
): CanaryText {
  const alone = { upstream: upstreamName(main.key), maps: [] };
  const served = canaries.flatMap(({ backend, rule, ingress }) => {
    const upstream = upstreams.get(backend.upstream);
    return upstream === undefined || !can.isUsable(upstream) ? [] : [{ upstream, rule, ingress }];
  });
  const [first, ...others] = served;
  if (first === undefined) return { ...alone, inexact: [] };
  if (!can.spokenAlike(first.upstream)) {
    const reason = `the canary ${first.ingress} is left out, for its upstream is spoken to in another way, and a location of nginx has one`;
    return { ...alone, inexact: [reason] };
  }
  const inexact = others.map(({ ingress }) => `the canary ${ingress} is left out, for the file holds one of a path`);
  return { ...writeRule(first.rule, upstreamName(main.key), upstreamName(first.upstream.key)), inexact };
}

function writeRule(rule: CanaryRule, main: string, canary: string): Omit<CanaryText, "inexact"> {
  const digest = createHash("sha256")
    .update(JSON.stringify([rule, main, canary]))
    .digest("hex")
    .slice(0, 20);
  const variable = (name: string): string => `$sluice_canary_${digest}_${name}`;
  const maps: (NginxMap | NginxSplit)[] = [];
  let upstream: NginxArg = rule.weight === 0 ? main : canary;
  if (rule.weight > 0 && rule.weight < rule.total) {
    const percent = percentOf(rule);
    maps.push({
      source: "$request_id",
      variable: variable("weight"),
      shares: [{ percent, value: canary }],
      default: main,
    });
    upstream = { nginx: variable("weight") };
  }
  const words = [
    { word: "always", value: canary },
    { word: "never", value: main },
  ];
  if (rule.cookie !== null) {
    const name = rule.cookie;
    // The name of a variable has no dash.
    const source = name.includes("-") ? "$http_cookie" : `$cookie_${name}`;
    const around = name.includes("-") ? [`(?i)(?:^|;) *${name} *=(?-i) *`, " *(?:;|$)"] : ["^", "$"];
    const entries = words.map(({ word, value }) => ({ regex: around.join(word), value }));
    maps.push({ source, variable: variable("cookie"), entries, default: upstream });
    upstream = { nginx: variable("cookie") };
  }
  if (rule.header !== null) {
    const { name, value, pattern } = rule.header;
    const entries =
      value !== null
        ? [{ regex: `^${literalRegex(value)}$`, value: canary }]
        : pattern !== null
          ? [{ regex: searchRegex(pattern), value: canary }]
          : words.map(({ word, value: then }) => ({ regex: `^${word}$`, value: then }));
    maps.push({
      source: `$http_${name.replaceAll("-", "_")}`,
      variable: variable("header"),
      entries,
      default: upstream,
    });
    upstream = { nginx: variable("header") };
  }
  return { upstream, maps };
}

/** split_clients reads two decimals, and refuses nothing. */
function percentOf({ weight, total }: CanaryRule): string {
  const hundredths = Math.min(Math.max(Math.round((weight / total) * 10_000), 1), 9_999);
  return `${(hundredths / 100).toFixed(2)}%`;
}

function literalRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}

function searchRegex(source: string): string {
  const parsed = parsePattern(`(?-i)(?:${source})`);
  if ("refused" in parsed) throw new Error(`a canary has a pattern that cannot be matched: ${parsed.refused}`);
  return `(?i)${toPcre(parsed.pattern)}`;
}
