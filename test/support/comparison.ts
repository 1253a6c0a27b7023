/**
 * What came of a request, at the client and at the upstream, and how two such outcomes, or an outcome and the expectation
 * of a case, differ. A difference names its field, so that the list of accepted ones can name it too.
 */
import type { CaseRequest } from "./cases.ts";
import { noteSeenHeaders, type Outcome, type ProxyPorts, toMap } from "./exchange.ts";
import type { SeenRequest } from "./recording-upstream.ts";

export interface Observation {
  readonly outcome: Outcome;
  /** Every request that an upstream saw meanwhile. */
  readonly seen: readonly SeenRequest[];
  readonly ports: ProxyPorts;
}

export interface Difference {
  /** Such as "answer.status", "answer.headers.location" or "upstream.target". */
  readonly field: string;
  /** "(absent)" for what is not there. */
  readonly values: readonly [string, string];
}

/** An observation as fields and values; what is not there has no field. */
function describeObservation({ outcome, seen, ports }: Observation): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if ("failed" in outcome) {
    fields.set("answer.status", `none: ${outcome.failed}`);
  } else {
    const { answer } = outcome;
    fields.set("answer.status", String(answer.status));
    fields.set("answer.body", answer.body);
    fields.set("answer.interim", answer.interim.join(" "));
    setAll(fields, "answer.headers", answer.headers);
    setAll(fields, "answer.trailers", answer.trailers);
    if (answer.certificate !== null) {
      fields.set("answer.certificate", answer.certificate);
    }
    if (answer.certificateKey !== null) {
      fields.set("answer.certificateKey", answer.certificateKey);
    }
    if (answer.handshake !== null) {
      fields.set("answer.handshake", answer.handshake);
    }
    if (answer.tunnel !== null) {
      fields.set("answer.tunnel", answer.tunnel);
    }
  }
  fields.set("upstream.count", String(seen.length));
  const [request] = seen;
  if (request !== undefined) {
    const [method = "", target = "", version = ""] = request.startLine.split(" ");
    fields.set("upstream.name", request.upstream);
    fields.set("upstream.method", method);
    fields.set("upstream.target", target);
    fields.set("upstream.version", version);
    fields.set("upstream.serverName", request.serverName);
    fields.set("upstream.body", request.body);
    setAll(fields, "upstream.headers", noteSeenHeaders(request, ports));
    setAll(fields, "upstream.trailers", toMap(request.trailers));
  }
  return fields;
}

export function compareObservations(a: Observation, b: Observation): readonly Difference[] {
  const left = describeObservation(a);
  const right = describeObservation(b);
  const fields = new Set([...left.keys(), ...right.keys()]);
  return [...fields].flatMap((field) => difference(field, left.get(field) ?? null, right.get(field) ?? null));
}

/** Where an observation is not what the case expects: expected value first. */
export function compareWithExpectation(observation: Observation, request: CaseRequest): readonly Difference[] {
  const found = describeObservation(observation);
  const expected = describeExpectation(request);
  return [...expected].flatMap(([field, value]) => difference(field, value, found.get(field) ?? null));
}

/** null: the field must not be there. */
function describeExpectation({ answer, upstream }: CaseRequest): ReadonlyMap<string, string | null> {
  const fields = new Map<string, string | null>([
    ["answer.status", answer.failed === null ? String(answer.status) : `none: ${answer.failed}`],
    ["answer.interim", answer.failed === null ? answer.interim.join(" ") : null],
    ["answer.tunnel", answer.tunnel],
    ["upstream.count", upstream === null ? "0" : "1"],
  ]);
  if (answer.body !== null) {
    fields.set("answer.body", answer.body);
  }
  if (answer.certificate !== null) {
    fields.set("answer.certificate", answer.certificate);
  }
  if (answer.certificateKey !== null) {
    fields.set("answer.certificateKey", answer.certificateKey);
  }
  if (answer.handshake !== null) {
    fields.set("answer.handshake", answer.handshake);
  }
  setAll(fields, "answer.headers", answer.headers);
  setAll(fields, "answer.trailers", answer.trailers);
  if (upstream !== null) {
    fields.set("upstream.name", upstream.name);
    fields.set("upstream.method", upstream.method);
    fields.set("upstream.target", upstream.target);
    fields.set("upstream.version", upstream.version);
    fields.set("upstream.body", upstream.body);
    if (upstream.serverName !== null) {
      fields.set("upstream.serverName", upstream.serverName);
    }
    setAll(fields, "upstream.headers", upstream.headers);
    setAll(fields, "upstream.trailers", upstream.trailers);
  }
  return fields;
}

function setAll<T extends string | null>(fields: Map<string, T>, prefix: string, values: ReadonlyMap<string, T>): void {
  for (const [name, value] of values) {
    fields.set(`${prefix}.${name}`, value);
  }
}

function difference(field: string, a: string | null, b: string | null): readonly Difference[] {
  return a === b ? [] : [{ field, values: [show(a), show(b)] }];
}

function show(value: string | null): string {
  return value === null ? "(absent)" : value.length > 200 ? `${value.slice(0, 200)}…` : value;
}
