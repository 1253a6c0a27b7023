/**
 * The rules of profile "spec", written down as they read and as slowly as they go: every route of every host is looked
 * at. It shares no code with src/router and is what the router is compared with.
 */
import type { Host, Route } from "../../src/model/snapshot.ts";

/** `name` is a normalised host, `path` a normalised path as bytes. Null when nothing serves them. */
export function matchNaively(hosts: readonly Host[], name: string, path: string): Route | null {
  const host =
    hosts.find((candidate) => candidate.name !== "" && candidate.name === name) ??
    hosts.find((candidate) => isWildcardFor(candidate.name, name)) ??
    hosts.find((candidate) => candidate.name === "");
  if (host === undefined) {
    return null;
  }
  const exact = host.routes.find(({ path: rule }) => rule.kind === "exact" && utf8(rule.path) === path);
  if (exact !== undefined) {
    return exact;
  }
  const [regex] = host.routes
    .filter(({ path: rule }) => rule.kind === "regex" && new RegExp(`^(?:${rule.source})`, "i").test(path))
    .sort((a, b) => (precedes(sourceOf(a), sourceOf(b)) ? -1 : precedes(sourceOf(b), sourceOf(a)) ? 1 : 0));
  if (regex !== undefined) {
    return regex;
  }
  let longest: Route | null = null;
  let most = -1;
  for (const route of host.routes) {
    const elements = route.path.kind === "prefix" ? elementsOf(utf8(route.path.path)) : null;
    if (elements !== null && elements.length > most && beginsWith(elementsOf(path), elements)) {
      longest = route;
      most = elements.length;
    }
  }
  return longest ?? host.defaultRoute;
}

/** `*.` stands for exactly one label. */
function isWildcardFor(wildcard: string, name: string): boolean {
  const [first, ...labels] = name.split(".");
  return wildcard.startsWith("*.") && /^[\w-]+$/.test(first ?? "") && wildcard === `*.${labels.join(".")}`;
}

function sourceOf(route: Route): string {
  return route.path.kind === "regex" ? route.path.source : "";
}

function precedes(a: string, b: string): boolean {
  return a.length > b.length || (a.length === b.length && a > b);
}

/** The elements between the slashes; a slash at the end makes none. */
function elementsOf(path: string): readonly string[] {
  const elements = path.split("/").slice(1);
  return elements.at(-1) === "" ? elements.slice(0, -1) : elements;
}

function beginsWith(elements: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((element, index) => elements[index] === element);
}

function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
