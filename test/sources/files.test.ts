import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import legacy, { mkdtempSync, rmSync } from "node:fs";
import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { FileSource, type FileSourceOptions } from "../../src/sources/files.ts";
import { ObjectStore } from "../../src/sources/store.ts";

/** A condition that does not come true in this time will not. */
const patience = 8000;

function service(name: string, port: number | string = 80): string {
  return `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n  - port: ${port}\n`;
}

/** Resolves once the condition holds after a change of the store, or at once. */
async function until(store: ObjectStore, what: string, condition: () => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const tooLong = setTimeout(() => {
      leave();
      reject(new Error(`not within ${patience} ms: ${what}; ${JSON.stringify(store.problems)}`));
    }, patience);
    const check = () => {
      if (!condition()) return;
      leave();
      clearTimeout(tooLong);
      resolve();
    };
    const leave = store.onChange(check);
    check();
  });
}

describe("the file source", () => {
  let directory = "";
  const running: FileSource[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sluice-files-"));
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map((source) => source.stop()));
    rmSync(directory, { recursive: true });
  });

  const at = (...names: readonly string[]) => join(directory, ...names);

  /** Started, with a poll so rare that the watches alone must notice what happens, unless a test says otherwise. */
  async function started(paths: readonly string[], options: Partial<FileSourceOptions> = {}): Promise<ObjectStore> {
    const store = new ObjectStore();
    const timing = { quiet: 15, longest: 250, poll: 1_000_000, watchedPoll: 1_000_000 };
    const source = new FileSource({ store, paths, timing, ...options });
    running.push(source);
    await source.start();
    return store;
  }

  const names = (store: ObjectStore) => [...store.objects.services.values()].map(({ meta }) => meta.name).sort();
  const portOf = (store: ObjectStore, name: string) => store.objects.services.get(`default/${name}`)?.ports[0]?.port;
  const named = (store: ObjectStore, ...expected: readonly string[]) =>
    until(store, expected.join(), () => names(store).join() === expected.join());
  const ported = (store: ObjectStore, name: string, port: number) =>
    until(store, `${name} on port ${port}`, () => portOf(store, name) === port);
  const messages = (store: ObjectStore) =>
    store.problems.map(({ code, object, message }) => `${code} ${object.name}: ${message}`);
  const complained = (store: ObjectStore, pattern: RegExp) =>
    until(store, String(pattern), () => messages(store).some((message) => pattern.test(message)));
  const content = (store: ObjectStore) => until(store, "no problems", () => store.problems.length === 0);

  it("reads files and directories, recursively, each file once", async () => {
    await fs.mkdir(at("m", "sub", "deeper"), { recursive: true });
    await fs.mkdir(at("m", ".hidden"));
    await fs.writeFile(at("m", "a.yaml"), service("a"));
    await fs.writeFile(at("m", "b.yml"), service("b"));
    await fs.writeFile(at("m", "sub", "c.json"), '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}');
    await fs.writeFile(at("m", "sub", "deeper", "d.yaml"), service("d"));
    for (const ignored of ["e.txt", "f.yaml~", ".g.yaml", ".hidden/h.yaml"])
      await fs.writeFile(at("m", ignored), service("x"));
    await fs.writeFile(at("named-directly"), service("z"));
    const store = await started([at("m"), at("named-directly"), at("m", "a.yaml")]);
    assert.deepEqual(names(store), ["a", "b", "d", "z"]);
    assert.deepEqual([...store.objects.namespaces.keys()], ["c"]);
    assert.deepEqual(store.objects.services.get("default/d")?.meta.origin, {
      file: at("m", "sub", "deeper", "d.yaml"),
      line: 1,
    });
    assert.deepEqual(store.problems, []);
  });

  it("has a change in the store within 50 ms of the end of the write", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    const store = await started([directory]);
    const delays: number[] = [];
    for (let port = 2; port < 12; port += 1) {
      await fs.writeFile(at("a.yaml"), service("a", port));
      const written = performance.now();
      await ported(store, "a", port);
      delays.push(performance.now() - written);
    }
    // The best of ten: on a busy machine the others say more about it than about us.
    assert.ok(Math.min(...delays) < 50, delays.map(Math.round).join());
  });

  it("follows files that come, change and go", async () => {
    const store = await started([directory]);
    await fs.writeFile(at("a.yaml"), service("a"));
    await named(store, "a");
    await fs.writeFile(at("b.yaml"), service("b"));
    await named(store, "a", "b");
    await fs.appendFile(at("b.yaml"), `---\n${service("c")}`);
    await named(store, "a", "b", "c");
    await fs.writeFile(at("b.yaml"), service("c"));
    await named(store, "a", "c");
    await fs.rename(at("b.yaml"), at("d.yaml"));
    await until(store, "d.yaml", () => store.objects.services.get("default/c")?.meta.origin?.file === at("d.yaml"));
    await fs.rm(at("a.yaml"));
    await named(store, "c");
    await fs.rename(at("d.yaml"), at("d.txt"));
    await named(store);
    assert.deepEqual(store.problems, []);
  });

  it("follows an editor that writes a new file and renames it over the old one", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    for (const paths of [[directory], [at("a.yaml")]]) {
      const store = await started(paths);
      let least = names(store).length;
      store.onChange(() => {
        least = Math.min(least, names(store).length);
      });
      for (let port = 2; port < 6; port += 1) {
        await fs.writeFile(at(".a.yaml.swp"), service("a", port));
        await fs.rename(at(".a.yaml.swp"), at("a.yaml"));
        await ported(store, "a", port);
      }
      assert.equal(least, 1, "the object was never gone");
    }
  });

  it("follows an editor that moves the old file away before it writes the new one", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    const store = await started([at("a.yaml")], {
      timing: { quiet: 150, longest: 3000, poll: 1_000_000, watchedPoll: 1_000_000 },
    });
    let least = 1;
    store.onChange(() => {
      least = Math.min(least, names(store).length);
    });
    await fs.rename(at("a.yaml"), at("a.yaml~"));
    await fs.writeFile(at("a.yaml"), service("a", 2));
    await ported(store, "a", 2);
    assert.equal(least, 1, "the object was never gone");
  });

  it("sees a file whole that is written bit by bit", async () => {
    const store = await started([directory], {
      timing: { quiet: 300, longest: 10_000, poll: 1_000_000, watchedPoll: 1_000_000 },
    });
    const seen: number[] = [];
    store.onChange(() => seen.push(names(store).length));
    const file = await fs.open(at("a.yaml"), "w");
    for (let i = 0; i < 20; i += 1) await file.write(`${service(`s${i}`)}---\n`);
    await file.close();
    await until(store, "all", () => names(store).length === 20);
    assert.deepEqual(seen, [20]);
  });

  it("keeps what a half-written file held, and takes the file when it is complete", async () => {
    await fs.writeFile(at("a.yaml"), `${service("a", 1)}---\n${service("b")}`);
    await fs.writeFile(at("other.yaml"), service("other"));
    const store = await started([directory]);
    const file: FileHandle = await fs.open(at("a.yaml"), "w");
    await complained(store, /the file is empty/);
    assert.deepEqual(names(store), ["a", "b", "other"]);
    await file.write(`${service("a", 2)}---\nkind: {`);
    await complained(store, /not valid YAML/);
    assert.deepEqual(names(store), ["a", "b", "other"]);
    assert.equal(portOf(store, "a"), 1);
    const [problem] = store.problems;
    assert.deepEqual(problem?.origin, { file: at("a.yaml"), line: 9 });
    await fs.writeFile(at("other.yaml"), service("other", 90));
    await ported(store, "other", 90);
    await file.write("}\n");
    await file.truncate(service("a", 2).length);
    await file.close();
    await named(store, "a", "other");
    assert.equal(portOf(store, "a"), 2);
    assert.deepEqual(store.problems, []);
  });

  it("keeps the last good state of an object that turned invalid until the object is gone", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    const store = await started([directory]);
    await fs.writeFile(at("a.yaml"), service("a", 70_000));
    await complained(store, /^InvalidObject a: 70000 is not a port/);
    assert.equal(portOf(store, "a"), 1);
    await fs.writeFile(at("a.yaml"), service("b", 1));
    await named(store, "b");
    assert.deepEqual(store.problems, []);
  });

  it("tells one change for all files that change together", async () => {
    const store = await started([directory], {
      timing: { quiet: 100, longest: 5000, poll: 1_000_000, watchedPoll: 1_000_000 },
    });
    let changes = 0;
    store.onChange(() => {
      changes += 1;
    });
    for (const name of ["a", "b", "c", "d"]) await fs.writeFile(at(`${name}.yaml`), service(name));
    await named(store, "a", "b", "c", "d");
    assert.equal(changes, 1);
  });

  it("waits for a path that does not exist yet, however much of it is missing", async () => {
    const path = at("later", "on", "manifests");
    const store = await started([path]);
    assert.deepEqual(messages(store), [
      `FileUnreadable ${path}: the path does not exist; create it, or correct --manifests`,
    ]);
    await fs.mkdir(path, { recursive: true });
    await content(store);
    await fs.writeFile(join(path, "a.yaml"), service("a"));
    await named(store, "a");
    await fs.rm(at("later"), { recursive: true });
    await named(store);
    await complained(store, /does not exist/);
    await fs.mkdir(path, { recursive: true });
    await fs.writeFile(join(path, "b.yaml"), service("b"));
    await named(store, "b");
  });

  it("waits for a file that does not exist yet", async () => {
    const store = await started([at("a.yaml")]);
    assert.equal(store.problems.length, 1);
    await fs.writeFile(at("a.yaml"), service("a"));
    await named(store, "a");
    assert.deepEqual(store.problems, []);
    await fs.rm(at("a.yaml"));
    await named(store);
    await complained(store, /does not exist/);
  });

  it("follows directories that appear, are moved in, replaced and removed", async () => {
    const store = await started([directory]);
    await fs.mkdir(at("one", "two"), { recursive: true });
    await fs.writeFile(at("one", "two", "a.yaml"), service("a"));
    await named(store, "a");
    await fs.mkdir(at(".prepared", "three"), { recursive: true });
    await fs.writeFile(at(".prepared", "three", "b.yaml"), service("b"));
    await fs.rename(at(".prepared"), at("ready"));
    await named(store, "a", "b");
    await fs.writeFile(at("ready", "three", "c.yaml"), service("c"));
    await named(store, "a", "b", "c");
    await fs.rename(at("one"), at(".gone"));
    await fs.mkdir(at("one"));
    await named(store, "b", "c");
    await fs.writeFile(at("one", "d.yaml"), service("d"));
    await named(store, "b", "c", "d");
    await fs.rm(at("ready"), { recursive: true });
    await named(store, "d");
  });

  it("follows a mounted ConfigMap, whose files are links through ..data", async () => {
    const publish = async (version: string, port: number, ...files: readonly string[]) => {
      await fs.mkdir(at("m", `..${version}`), { recursive: true });
      for (const name of files) await fs.writeFile(at("m", `..${version}`, `${name}.yaml`), service(name, port));
      await fs.symlink(`..${version}`, at("m", "..data_tmp"));
      await fs.rename(at("m", "..data_tmp"), at("m", "..data"));
    };
    await publish("v1", 1, "a", "b");
    for (const name of ["a", "b"]) await fs.symlink(join("..data", `${name}.yaml`), at("m", `${name}.yaml`));
    const whole = await started([at("m")]);
    const single = await started([at("m", "a.yaml")]);
    assert.deepEqual([names(whole), names(single)], [["a", "b"], ["a"]]);
    assert.deepEqual(whole.problems, []);
    const ports = new Set<unknown>();
    whole.onChange(() => ports.add(`${portOf(whole, "a")} ${portOf(whole, "b")}`));
    await publish("v2", 2, "a", "b");
    await Promise.all([ported(whole, "a", 2), ported(single, "a", 2)]);
    await fs.rm(at("m", "..v1"), { recursive: true });
    await publish("v3", 3, "a", "b");
    await Promise.all([ported(whole, "a", 3), ported(single, "a", 3)]);
    assert.deepEqual([...ports], ["2 2", "3 3"], "both files changed as one");
  });

  it("follows a link when its target changes, and when it is pointed elsewhere", async () => {
    await fs.mkdir(at("real", "one"), { recursive: true });
    await fs.mkdir(at("real", "two"));
    await fs.mkdir(at("m"));
    await fs.writeFile(at("real", "one", "a.yaml"), service("a", 1));
    await fs.writeFile(at("real", "two", "a.yaml"), service("a", 5));
    await fs.writeFile(at("real", "file"), service("b", 1));
    await fs.symlink(at("real", "one"), at("current"));
    await fs.symlink("../real/file", at("m", "b.yaml"));
    const store = await started([at("current"), at("m")]);
    await fs.writeFile(at("real", "one", "a.yaml"), service("a", 2));
    await fs.writeFile(at("real", "file"), service("b", 2));
    await Promise.all([ported(store, "a", 2), ported(store, "b", 2)]);
    await fs.symlink(at("real", "two"), at("next"));
    await fs.rename(at("next"), at("current"));
    await ported(store, "a", 5);
    await fs.rm(at("real", "file"));
    await named(store, "a");
  });

  it("reads a directory once to which links lead in a circle", async () => {
    await fs.mkdir(at("m", "sub"), { recursive: true });
    await fs.writeFile(at("m", "sub", "a.yaml"), service("a"));
    await fs.symlink("..", at("m", "sub", "up"));
    await fs.symlink("sub", at("m", "again"));
    await fs.symlink("self", at("m", "self"));
    await fs.symlink("self.yaml", at("m", "self.yaml"));
    const store = await started([at("m")]);
    assert.deepEqual(names(store), ["a"]);
    const loops = messages(store).map((message) => message.replace(directory, ""));
    assert.deepEqual(
      loops,
      ["/m/self", "/m/self.yaml"].map((path) => `FileUnreadable ${path}: the link leads in a circle; correct it`),
    );
  });

  it("believes the first path when two files declare one object", async () => {
    await fs.writeFile(at("a.yaml"), `${service("x", 1)}---\n${service("x", 2)}`);
    await fs.writeFile(at("b.yaml"), `\n${service("x", 3)}`);
    const store = await started([directory]);
    assert.equal(portOf(store, "x"), 1);
    const twice = `DuplicateObject x: "x" is declared in ${at("a.yaml")}:1 already; remove one of the two, or rename it`;
    assert.deepEqual(messages(store), [twice, twice]);
    assert.deepEqual(
      store.problems.map((problem) => problem.origin),
      [
        { file: at("a.yaml"), line: 9 },
        { file: at("b.yaml"), line: 2 },
      ],
    );
    await fs.rm(at("a.yaml"));
    await ported(store, "x", 3);
    assert.deepEqual(store.problems, []);
  });

  it("reads standard input once, to its end", async () => {
    await fs.writeFile(at("a.yaml"), service("a"));
    const input = Readable.from([Buffer.from(service("x").slice(0, 30)), Buffer.from(service("x").slice(30))]);
    const store = await started(["-", at("a.yaml")], { input });
    assert.deepEqual(names(store), ["a", "x"]);
    assert.deepEqual(store.objects.services.get("default/x")?.meta.origin, { file: "-", line: 1 });
    await fs.writeFile(at("a.yaml"), service("b"));
    await named(store, "b", "x");
  });

  it("tells what is wrong with standard input", async () => {
    const store = await started(["-"], { input: Readable.from(["a: [\n"]) });
    assert.match(messages(store).join(), /^FileUnreadable -: not valid YAML/);
    const broken = new Readable({ read: () => broken.destroy(new Error("gone")) });
    assert.match(
      messages(await started(["-"], { input: broken })).join(),
      /^FileUnreadable -: standard input cannot be read/,
    );
  });

  it("refuses files that are too large, and what is no file", async () => {
    await fs.writeFile(at("a.yaml"), service("a"));
    const store = await started([directory, "/dev/null"]);
    assert.match(messages(store).join(), /^FileUnreadable \/dev\/null: neither a file nor a directory/);
    await fs.truncate(at("a.yaml"), 40 * 1024 * 1024);
    await complained(store, /41943040 bytes are too many; use files of at most 33554432 bytes/);
    assert.deepEqual(names(store), ["a"]);
  });

  it("is not held up by a file that never rests", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    await fs.writeFile(at("busy.yaml"), service("busy"));
    const store = await started([directory], {
      timing: { quiet: 10, longest: 40, poll: 1_000_000, watchedPoll: 1_000_000 },
    });
    const writer = setInterval(() => legacy.appendFileSync(at("busy.yaml"), "# more\n"), 1);
    try {
      for (let port = 2; port < 6; port += 1) {
        await fs.writeFile(at("a.yaml"), service("a", port));
        await ported(store, "a", port);
      }
    } finally {
      clearInterval(writer);
    }
    assert.deepEqual(names(store), ["a", "busy"]);
  });

  it("takes relative paths, and keeps them in what it tells", async () => {
    await fs.mkdir(at("m"));
    await fs.writeFile(at("m", "a.yaml"), service("a", 1));
    const path = relative(process.cwd(), at("m"));
    const store = await started([`${path}/`]);
    assert.equal(store.objects.services.get("default/a")?.meta.origin?.file, join(path, "a.yaml"));
    await fs.writeFile(at("m", "a.yaml"), service("a", 2));
    await ported(store, "a", 2);
    await fs.rename(at("m"), at("away"));
    await fs.symlink("m", at("m"));
    await complained(store, /the link leads in a circle/);
    assert.deepEqual(names(store), ["a"]);
  });

  it("says once what it skips", async () => {
    const skipped: string[] = [];
    const pod = "kind: Pod\napiVersion: v1\nmetadata: {name: p}\n";
    await fs.writeFile(at("a.yaml"), `${pod}---\n${service("a", 1)}`);
    const store = await started([directory], { onSkipped: (line) => skipped.push(line) });
    await fs.writeFile(at("a.yaml"), `${pod}---\n${service("a", 2)}`);
    await ported(store, "a", 2);
    assert.deepEqual(skipped, [`${at("a.yaml")}:1: Pod default/p of "v1" is skipped: Sluice does not read this kind`]);
  });

  it("reads what is in a directory that took the place of a file", async () => {
    await fs.writeFile(at("a.yaml"), service("a"));
    await fs.mkdir(at(".ready"));
    await fs.writeFile(at(".ready", "b.yaml"), service("b"));
    const store = await started([directory]);
    legacy.rmSync(at("a.yaml"));
    legacy.renameSync(at(".ready"), at("a.yaml"));
    await named(store, "b");
    await content(store);
  });

  it("does not wait for a pipe that took the place of a file", async () => {
    await fs.writeFile(at("a.yaml"), service("a"));
    execFileSync("mkfifo", [at(".pipe")]);
    const store = await started([directory]);
    legacy.renameSync(at(".pipe"), at("a.yaml"));
    await complained(store, /a\.yaml: neither a file nor a directory/);
    await fs.writeFile(at("b.yaml"), service("b"));
    await until(store, "b", () => names(store).includes("b"));
  });

  it("looks at everything seldom where the system tells of changes, and finds what it did not tell", async function () {
    if (process.platform !== "linux") this.skip();
    await fs.writeFile(at("a.yaml"), service("a", 1));
    // Another name of the file, in a directory that nobody watches.
    const elsewhere = mkdtempSync(join(tmpdir(), "sluice-files-"));
    await fs.link(at("a.yaml"), join(elsewhere, "same"));
    const store = await started([directory], { timing: { quiet: 10, longest: 100, poll: 20, watchedPoll: 400 } });
    try {
      // The first may be found by the look that follows the start.
      await fs.writeFile(join(elsewhere, "same"), service("a", 2));
      await ported(store, "a", 2);
      const began = performance.now();
      await fs.writeFile(join(elsewhere, "same"), service("a", 3));
      await ported(store, "a", 3);
      assert.ok(performance.now() - began > 200, "found by the seldom look alone");
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it("keeps objects below a directory that cannot be read for a while", async () => {
    await fs.mkdir(at("m", "sub"), { recursive: true });
    await fs.writeFile(at("m", "sub", "a.yaml"), service("a"));
    const store = await started([at("m")]);
    // A link in a circle stands for every error but absence, and stops the superuser too.
    await fs.rename(at("m", "sub"), at("away"));
    await fs.symlink("sub", at("m", "sub"));
    await complained(store, /the link leads in a circle/);
    assert.deepEqual(names(store), ["a"]);
    await fs.rm(at("m", "sub"));
    await named(store);
    await content(store);
  });

  it("finds changes by its poll where the system has no watches", async () => {
    const { watch } = legacy;
    legacy.watch = () => {
      throw Object.assign(new Error("no watches left"), { code: "ENOSPC" });
    };
    syncBuiltinESMExports();
    try {
      await fs.writeFile(at("a.yaml"), service("a", 1));
      const store = await started([directory], {
        timing: { quiet: 10, longest: 100, poll: 20, watchedPoll: 1_000_000 },
      });
      await fs.writeFile(at("a.yaml"), service("a", 2));
      await ported(store, "a", 2);
      await fs.writeFile(at("b.yaml"), service("b"));
      await named(store, "a", "b");
      await fs.rm(at("a.yaml"));
      await named(store, "b");
    } finally {
      legacy.watch = watch;
      syncBuiltinESMExports();
    }
  });

  it("reads once and watches nothing when it is not to watch", async () => {
    await fs.writeFile(at("a.yaml"), service("a"));
    const store = new ObjectStore();
    const source = new FileSource({ store, paths: [directory, at("missing")], watch: false });
    await source.start();
    assert.deepEqual([names(store), source.problems.length], [["a"], 1]);
    assert.deepEqual(
      process.getActiveResourcesInfo().filter((resource) => resource === "FSEventWrap"),
      [],
    );
  });

  it("tells the store nothing once it stopped", async () => {
    await fs.writeFile(at("a.yaml"), service("a", 1));
    const store = new ObjectStore();
    const source = new FileSource({ store, paths: [directory] });
    await source.start();
    await fs.writeFile(at("a.yaml"), service("a", 2));
    await source.stop();
    const held = portOf(store, "a");
    store.onChange(() => assert.fail("a change after stop"));
    const witness = await started([directory]);
    await fs.writeFile(at("a.yaml"), service("a", 3));
    await ported(witness, "a", 3);
    assert.equal(portOf(store, "a"), held);
  });

  it("holds up nothing when many files change at random, and ends with what is on disk", async () => {
    const store = await started([directory]);
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const expected = new Map<string, number>();
    for (let i = 0; i < 300; i += 1) {
      const name = `s${random(12)}`;
      const folder = `d${random(3)}`;
      const id = `${folder}-${name}`;
      await fs.mkdir(at(folder), { recursive: true });
      if (random(4) === 0) {
        await fs.rm(at(folder, `${name}.yaml`), { force: true });
        expected.delete(id);
      } else {
        await fs.writeFile(at(folder, `${name}.tmp`), service(id, i + 1));
        await fs.rename(at(folder, `${name}.tmp`), at(folder, `${name}.yaml`));
        expected.set(id, i + 1);
      }
    }
    const wanted = [...expected].map(([name, port]) => `${name}:${port}`).sort();
    const found = () =>
      names(store)
        .map((name) => `${name}:${portOf(store, name)}`)
        .sort();
    await until(store, wanted.join(), () => found().join() === wanted.join());
  });
});
