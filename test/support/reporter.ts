/**
 * The mocha reporter of this project: a dot a test, each failure in full, each skipped test with its name, and last the plain
 * line "N passed, N failed", which the continuous integration reads.
 */
import mocha from "mocha";

const { Base, Runner } = { Base: mocha.reporters.Base, Runner: mocha.Runner };

export default class Reporter extends Base {
  constructor(runner: mocha.Runner, options: mocha.MochaOptions) {
    super(runner, options);
    const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Runner.constants;
    const skipped: string[] = [];
    let column = 0;
    const mark = (character: string): void => {
      column += 1;
      process.stdout.write(column % 100 === 0 ? `${character}\n` : character);
    };
    runner.on(EVENT_TEST_PASS, () => mark("."));
    runner.on(EVENT_TEST_FAIL, () => mark("!"));
    runner.on(EVENT_TEST_PENDING, (test) => {
      skipped.push(test.fullTitle());
      mark(",");
    });
    runner.on(EVENT_RUN_END, () => {
      process.stdout.write("\n");
      // A failing hook is counted here although no test ran.
      if (this.failures.length > 0) Base.list(this.failures);
      for (const title of skipped) process.stdout.write(`skipped: ${title}\n`);
      const seconds = ((this.stats.duration ?? 0) / 1000).toFixed(1);
      process.stdout.write(`${skipped.length} skipped, ${seconds} s\n`);
      process.stdout.write(`${this.stats.passes} passed, ${this.stats.failures} failed\n`);
    });
  }
}
