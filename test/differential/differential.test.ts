import assert from "node:assert/strict";
import { runCase } from "../support/case-run.ts";
import { translateCase } from "../support/case-translation.ts";
import { type Case, loadCases } from "../support/cases.ts";
import { compareObservations, compareWithExpectation, type Observation } from "../support/comparison.ts";
import { needsNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { SluiceProxies, startRendered } from "../support/proxies.ts";
import { Differences, loadDifferences } from "./differences.ts";

const cases = loadCases();
const nginx = nginxForOracle();

describe("the cases, through Sluice and through nginx with the rendered file", () => {
  const proxies = new SluiceProxies();
  const observed = new Map<Case, Promise<readonly Observation[]>>();
  /** Once a case, whoever asks first. */
  const observe = (testCase: Case): Promise<readonly Observation[]> => {
    const known = observed.get(testCase);
    const observations =
      known ?? translateCase(testCase).then((translated) => runCase(testCase, translated, proxies.start));
    observed.set(testCase, observations);
    return observations;
  };

  after(() => proxies.stop());

  describe("Sluice does what the case expects", () => {
    for (const testCase of cases) {
      it(`${testCase.name}: ${testCase.about}`, async () => {
        const observations = await observe(testCase);
        assert.deepEqual(
          observations.flatMap((observation, index) => {
            const request = testCase.requests[index];
            const differences = request === undefined ? [] : compareWithExpectation(observation, request);
            return differences.map(({ field, values: [expected, found] }) => {
              return `${request?.place} ${request?.label}: ${field} should be ${expected}, is ${found}`;
            });
          }),
          [],
        );
      });
    }
  });

  describe("nginx does what Sluice does", () => {
    if (nginx === null) {
      it.skip(needsNginx);
      return;
    }
    const accepted = new Differences(loadDifferences());
    const compared: string[] = [];

    for (const testCase of cases) {
      it(`${testCase.name}: ${testCase.about}`, async () => {
        const ours = await observe(testCase);
        const theirs = await runCase(testCase, await translateCase(testCase), startRendered(nginx));
        compared.push(testCase.name);
        const refused: string[] = [];
        for (const [index, { label, place }] of testCase.requests.entries()) {
          const left = theirs[index];
          const right = ours[index];
          const differences = left === undefined || right === undefined ? [] : compareObservations(left, right);
          for (const { field, values } of differences) {
            if (
              !accepted.accepts({ case: testCase.name, request: label, field, nginx: values[0], sluice: values[1] })
            ) {
              refused.push(`${place} ${label}: ${field}: nginx ${values[0]}, Sluice ${values[1]}`);
            }
          }
        }
        assert.deepEqual(refused, []);
      });
    }

    it("needs every difference that is accepted", () => {
      assert.deepEqual(
        accepted
          .unused(compared)
          .map((entry) => `${entry.cases.join(", ")}: ${entry.fields.join(", ")}: ${entry.reason}`),
        [],
      );
    });
  });
});
