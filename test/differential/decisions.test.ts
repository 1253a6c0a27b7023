import assert from "node:assert/strict";
import type { Endpoint, Snapshot, Upstream } from "../../src/model/snapshot.ts";
import { isOverTls, tlsName } from "../../src/model/upstream-tls.ts";
import { translateCase } from "../support/case-translation.ts";
import { type Case, type CaseRequest, type CaseUpstream, type ExpectedAnswer, loadCases } from "../support/cases.ts";
import { Decider, type Decision } from "../support/decision.ts";
import { toMap } from "../support/exchange.ts";

/** Headers that features set; the others are the business of the sockets' side, Vary too where that compresses. */
const decidedHeaders = /^(?:location|vary|access-control-.*)$/;

/** What Sluice's router and features decide, where the case expects something else. */
function mistakes(testCase: Case, request: CaseRequest, snapshot: Snapshot, decision: Decision): readonly string[] {
  const { answer, upstream, reply } = request;
  const wrong = (what: string, found: unknown, expected: unknown): readonly string[] =>
    found === expected ? [] : [`${request.place} ${request.label}: ${what} is ${found}, not ${expected}`];
  const headers = (found: ReadonlyMap<string, string>): readonly string[] =>
    [...answer.headers]
      .filter(([name]) => decidedHeaders.test(name) && (name !== "vary" || testCase.settings["use-gzip"] === undefined))
      .flatMap(([name, value]) => wrong(name, found.get(name) ?? null, value));

  if (decision.kind === "answer") {
    return [
      ...wrong("the upstream", "none", upstream?.name ?? "none"),
      ...wrong("the status", decision.status, toldStatus(answer)),
      ...headers(decision.headers),
    ];
  }
  if (upstream === null) {
    return wrong("a forwarded request", toldStatus(answer), statusOfFailure(testCase, request, snapshot, decision));
  }
  return [
    ...wrong("an upstream", namesBehind(testCase, snapshot, decision.upstream).includes(upstream.name), true),
    ...wrong("the target", decision.target, upstream.target),
    ...headers(decision.edit(toMap(reply.headers), reply.status)),
  ];
}

/** The status of HTTP, which clients of gRPC are told in words. */
function toldStatus({ status, headers }: ExpectedAnswer): number {
  return Number(/^\d{3}(?= )/.exec(headers.get("grpc-message") ?? "")?.[0] ?? status);
}

/** No request at all, or one refused by a host that asks for certificates: handshakes are the business of the sockets' side. */
function isDecidedByHandshake({ send, upstream, answer }: CaseRequest, snapshot: Snapshot): boolean {
  if (upstream !== null) return false;
  return (
    answer.failed !== null ||
    snapshot.hosts.some(({ name, clientAuth }) => name === send.host && clientAuth !== undefined)
  );
}

/** The status when a forwarded request reaches nobody; null when it should reach its upstream. */
function statusOfFailure(
  testCase: Case,
  { send }: CaseRequest,
  snapshot: Snapshot,
  decision: Decision & { readonly kind: "forward" },
): number | null {
  if (decision.bodyLimit !== null && (send.chunks?.join("").length ?? 0) > decision.bodyLimit) {
    return 413;
  }
  const names = namesBehind(testCase, snapshot, decision.upstream);
  const asked = snapshot.upstreams.find((upstream) => upstream.key === decision.upstream);
  return testCase.upstreams.every((each) => each.refuses || !names.includes(each.name) || failsTls(each, asked))
    ? 502
    : null;
}

/** One of both does not like the other's certificate, or they have nothing in common. */
function failsTls({ certificate, demandsCertificate, offers }: CaseUpstream, asked: Upstream | undefined): boolean {
  if (asked === undefined || !isOverTls(asked.protocol)) {
    return false;
  }
  const { tls } = asked.options;
  const isRefused = tls?.verify === true && !certificate.includes(tlsName(asked));
  const versions: readonly string[] = tls?.protocols ?? [];
  const noVersion = offers.version !== null && versions.length > 0 && !versions.includes(offers.version);
  const ciphers = tls?.ciphers ?? "";
  const noCipher = offers.ciphers !== null && ciphers !== "" && !ciphers.split(":").includes(offers.ciphers);
  return noVersion || noCipher || isRefused || (demandsCertificate && (tls?.certificate ?? null) === null);
}

/** The upstreams of the case that stand behind an upstream of the Snapshot. */
function namesBehind(testCase: Case, snapshot: Snapshot, key: string): readonly string[] {
  const endpoints = snapshot.upstreams.find((upstream) => upstream.key === key)?.endpoints ?? [];
  const addresses = endpoints.map(addressOf);
  return testCase.upstreams
    .filter((each) => each.addresses.some((one) => addresses.includes(one)))
    .map(({ name }) => name);
}

function addressOf({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

describe("the cases, as far as router and features decide them", () => {
  for (const testCase of loadCases()) {
    it(`${testCase.name}: ${testCase.about}`, async () => {
      const { snapshot, settings } = await translateCase(testCase);
      const decider = new Decider(snapshot, settings);
      assert.deepEqual(
        testCase.requests
          .filter((request) => !isDecidedByHandshake(request, snapshot))
          .flatMap((request) => mistakes(testCase, request, snapshot, decider.decide(request.send))),
        [],
      );
    });
  }
});
