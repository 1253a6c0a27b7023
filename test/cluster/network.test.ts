/** Network namespaces are the machine's, not the run's: none may be left behind, however the run ends. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { eventually } from "../support/sluice-process.ts";
import { ipProgram, removeLeftovers } from "./network.ts";
import { describeWith } from "./suite.ts";

const modules = {
  network: new URL("./network.ts", import.meta.url),
  watchdog: new URL("./watchdog.ts", import.meta.url),
};

/** A run in small: it takes two places on a network, tells their addresses, and does what it is told to before it waits. */
const run = `
  import { PodNetwork } from ${JSON.stringify(modules.network.href)};
  import { Watchdog } from ${JSON.stringify(modules.watchdog.href)};
  const watchdog = process.argv[1] === "alone" ? { watch() {}, forget() {} } : new Watchdog();
  const network = await PodNetwork.start(watchdog);
  const places = await Promise.all([network.attach(), network.attach()]);
  process.stdout.write(JSON.stringify(places.map(({ address }) => address)) + "\\n");
  if (process.argv[1] === "orderly") {
    for (const place of places) await network.detach(place);
    await network.stop();
    await watchdog.close();
  } else setTimeout(() => {}, 3600000);
`;

describeWith("the network of the Pods", ["pods"], () => {
  it("gives each place an address of its own and leaves nothing when it is stopped", async () => {
    const child = start("orderly");
    const [addresses] = await once(child.stdout ?? child, "data");
    const [one, two] = JSON.parse(String(addresses));
    assert.match(one, /^10\.244\.\d+\.\d+$/);
    assert.match(two, /^10\.244\.\d+\.\d+$/);
    assert.notEqual(one, two);
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.deepEqual(namesOf(child), []);
  });

  it("is removed by the watchdog when the run is killed", async () => {
    const child = start("watched");
    await once(child.stdout ?? child, "data");
    assert.equal(namesOf(child).length, 5);
    child.kill("SIGKILL");
    await eventually(
      async () => namesOf(child),
      (names) => names.length === 0,
    );
  });

  it("is removed by the next run, with the processes in it, when the watchdog died too", async () => {
    const child = start("alone");
    await once(child.stdout ?? child, "data");
    const namespace = namesOf(child).find((name) => name.startsWith("sluice-")) ?? "";
    const forAnHour = ["netns", "exec", namespace, process.execPath, "-e", "setTimeout(() => {}, 3600000)"];
    const inside = spawn(ipProgram, forAnHour, { stdio: "ignore" });
    const ended = once(inside, "exit");
    await eventually(
      async () => spawnSync(ipProgram, ["netns", "pids", namespace], { encoding: "utf8" }).stdout,
      (pids) => pids.includes(String(inside.pid)),
    );
    await removeLeftovers();
    assert.equal(namesOf(child).length, 5, "the run is alive");
    child.kill("SIGKILL");
    await once(child, "close");
    await removeLeftovers();
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    await eventually(
      async () => namesOf(child),
      (names) => names.length === 0,
    );
  });
});

function start(way: "orderly" | "watched" | "alone"): ChildProcess {
  return spawn(process.execPath, ["--input-type=module", "-e", run, way], { stdio: ["ignore", "pipe", "inherit"] });
}

/** The namespaces and interfaces of a run. */
function namesOf({ pid }: ChildProcess): readonly string[] {
  const own = new RegExp(`^(sluice-|slb|slv)${pid}(-|$)`);
  return [...readdirSync("/run/netns"), ...readdirSync("/sys/class/net")].filter((name) => own.test(name));
}
