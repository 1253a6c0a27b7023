import assert from "node:assert/strict";
import { commandHelp, generalHelp } from "../../src/settings/help.ts";
import { tableRows } from "../../src/settings/parse.ts";
import { settingsReference } from "../../src/settings/reference.ts";
import { commandNames } from "../../src/settings/setting.ts";

describe("help", () => {
  for (const command of commandNames) {
    const help = commandHelp(command);

    it(`of ${command} names every flag that it takes, with its default and variable, and no other`, () => {
      const flags = [...help.matchAll(/^ {2}--([a-z0-9-]+)/gm)].map(([, flag]) => flag);
      assert.deepEqual(flags, [...tableRows(command).map((row) => row.flag), "help"]);
      const flowing = help.replaceAll(/\s+/g, " ");
      for (const row of tableRows(command)) {
        assert.ok(
          flowing.includes(`${row.summary} Default: ${row.default || "none"}. Environment: ${row.variable}.`),
          row.flag,
        );
      }
    });

    it(`of ${command} fits a terminal of 80 columns, its examples aside`, () => {
      const [prose = ""] = help.split("Examples:");
      for (const line of prose.split("\n")) assert.ok(line.length <= 80, line);
    });
  }

  it("in general names every command and fits 80 columns", () => {
    const help = generalHelp();
    for (const command of [...commandNames, "help", "version"]) assert.match(help, new RegExp(`^ {2}${command} `, "m"));
    for (const line of help.split("\n")) assert.ok(line.length <= 80, line);
  });
});

describe("the settings reference", () => {
  it("has one row for every flag", () => {
    const rows = [...settingsReference().matchAll(/^\| `--([a-z0-9-]+)/gm)].map(([, flag]) => flag);
    assert.deepEqual(
      [...rows].sort(),
      tableRows()
        .map((row) => row.flag)
        .sort(),
    );
  });

  it("has rows of equally many cells", () => {
    let cells = 0;
    for (const line of settingsReference().split("\n")) {
      if (!line.startsWith("|")) {
        cells = 0;
        continue;
      }
      const count = line.replaceAll("\\|", "").split("|").length;
      if (cells === 0) cells = count;
      assert.equal(count, cells, line);
    }
  });
});
