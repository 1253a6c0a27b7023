/**
 * Suites on the cluster. It takes seconds to start, so all suites of a run share one: the first that runs starts it, and the
 * last ends it. A suite that lacks something is skipped with one line, or fails where everything must run.
 */
import { buildPrograms, findGo } from "./binaries.ts";
import { Cluster } from "./cluster.ts";
import { everythingMustRun, missingPrerequisites, missingPrograms, type Need } from "./prerequisites.ts";

let shared: Promise<Cluster> | null = null;
/** Suites that have not yet ended. */
let remaining = 0;
let anyFailed = false;

/** A `describe` that needs something of the machine. */
export function describeWith(title: string, needs: readonly Need[], body: () => void): void {
  describe(title, () => {
    const missing = missingPrerequisites(needs);
    if (missing.length === 0) body();
    else if (!everythingMustRun) it.skip(missing.join("; "));
    else {
      it("has what it needs", () => {
        throw new Error(missing.join("; "));
      });
    }
  });
}

/** A `describe` whose tests get the cluster by calling what `body` is given. */
export function describeCluster(title: string, needs: readonly Need[], body: (given: () => Cluster) => void): void {
  describeWith(title, ["cluster", ...needs], () => {
    let cluster: Cluster | null = null;
    remaining += 1;
    before(async function () {
      // A cold build, where one was asked for, and a start.
      this.timeout(missingPrograms(["cluster", ...needs]).length > 0 ? 45 * 60_000 : 120_000);
      cluster = await sharedCluster(["cluster", ...needs]);
    });
    afterEach(function () {
      const { currentTest } = this;
      if (currentTest?.state !== "failed") return;
      anyFailed = true;
      if (currentTest.err !== undefined && cluster !== null) tellLogs(currentTest.err, cluster.directory);
    });
    body(() => {
      if (cluster === null) throw new Error("the cluster is there from the first hook on, not before");
      return cluster;
    });
    // Behind the suite's own hooks, which may need the cluster to clean up.
    after(async function () {
      this.timeout(60_000);
      const hookFailed = !anyTestRan(this.test?.parent);
      anyFailed ||= hookFailed;
      remaining -= 1;
      if (remaining === 0) await stopShared();
      // The error of a hook is not within reach here, so this tells it in one of its own.
      if (hookFailed && cluster !== null) throw new Error(logsLine(cluster.directory));
    });
  });
}

// A run of some tests only (--grep) never ends the suites that it leaves out.
after(async function () {
  this.timeout(60_000);
  await stopShared();
});

async function sharedCluster(needs: readonly Need[]): Promise<Cluster> {
  const go = findGo();
  if (missingPrograms(needs).length > 0 && go !== null) await buildPrograms(go, false);
  shared ??= Cluster.start();
  return shared;
}

async function stopShared(): Promise<void> {
  const ending = shared;
  shared = null;
  // A cluster that did not start has ended itself and told why.
  const cluster = await ending?.catch(() => null);
  await cluster?.stop({ keepLogs: anyFailed });
}

/** False when a hook in front of the first test has failed. */
function anyTestRan(suite: Mocha.Suite | undefined): boolean {
  let ran = false;
  suite?.eachTest((test) => {
    ran ||= test.state !== undefined;
  });
  return ran;
}

function tellLogs(error: Error, directory: string): void {
  const { message, stack } = error;
  error.message = `${message}\n${logsLine(directory)}`;
  if (stack !== undefined) error.stack = stack.replace(message, () => error.message);
}

function logsLine(directory: string): string {
  return `the cluster's logs are in ${directory}`;
}
