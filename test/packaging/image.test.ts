import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ingressManifest, serviceManifest, sliceManifest } from "../commands/manifests.ts";
import { get, SluiceProcess } from "../support/sluice-process.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The Dockerfile's steps without a container engine: what it copies, its commands in their order, then what its last stage
 * copies, in a tree that nobody may write, run by its user. dockerfile.test.ts looks at the Dockerfile itself.
 */
describe("the steps of the Dockerfile", function () {
  this.timeout(300_000);
  let work: string;
  let image: string;
  let upstream: Server;

  before(async function () {
    // Installing takes a minute and the network; only root can become the image's user.
    if (process.env.SLUICE_TEST_ALL !== "1") this.skip();
    work = await mkdtemp(join(tmpdir(), "sluice-image-"));
    image = join(work, "image");
    const build = join(work, "build");
    const dockerfile = (await readFile(join(root, "Dockerfile"), "utf8")).replaceAll(/\\\n\s*/g, " ");
    await mkdir(build);
    await mkdir(image, { recursive: true });
    for (const [, instruction, args = ""] of dockerfile.matchAll(/^(COPY|RUN) (.*)$/gm)) {
      if (instruction === "RUN") {
        await runStep(args, build);
        continue;
      }
      const paths = args.split(" ");
      const fromBuild = paths[0]?.startsWith("--from=") === true;
      const last = dockerfile.indexOf(args) > dockerfile.lastIndexOf("FROM ");
      const target = join(last ? image : build, paths.at(-1) ?? "");
      for (const path of paths.slice(fromBuild ? 1 : 0, -1)) {
        const source = fromBuild ? path.replace("/sluice", build) : join(root, path);
        const isDirectory = (await lstat(source)).isDirectory();
        await cp(source, isDirectory ? target : join(target, path), { recursive: true, verbatimSymlinks: true });
      }
    }
    await makeReadOnly(image);
    await chmod(work, 0o755);
    upstream = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  });

  after(async () => {
    if (work === undefined) return;
    upstream?.close();
    upstream?.closeAllConnections();
    await run("chmod", ["-R", "u+w", work]);
    await rm(work, { recursive: true, force: true });
  });

  async function runStep(command: string, cwd: string): Promise<void> {
    const options = { cwd, env: await buildEnvironment(), timeout: 240_000, maxBuffer: 1 << 24 };
    await run("sh", ["-c", command], options).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${command} failed:\n${error.stdout}${error.stderr}`);
    });
  }

  /** As an image has it: the system's Node and npm, nothing of this checkout. */
  async function buildEnvironment(): Promise<NodeJS.ProcessEnv> {
    const bin = join(work, "bin");
    await mkdir(bin, { recursive: true });
    await symlink(process.execPath, join(bin, "node")).catch(() => {});
    const others = (process.env.PATH ?? "").split(delimiter).filter((path) => !path.includes("node_modules"));
    // The rest stays, for it may say which registry to use; what npm tells the scripts of this checkout goes.
    const rest = Object.entries(process.env).filter(
      ([name]) => !/^npm_(package|lifecycle|command|.*execpath)/.test(name),
    );
    return { ...Object.fromEntries(rest), PATH: [bin, ...others].join(delimiter) };
  }

  it("leave what Sluice needs to run and nothing that builds it", async () => {
    assert.deepEqual((await readdir(image)).sort(), ["LICENSE", "dist", "node_modules", "package.json", "templates"]);
    const installed = (name: string) => existsSync(join(image, "node_modules", name, "package.json"));
    for (const name of ["ejs", "node-forge"]) assert.ok(installed(name), `${name} is missing`);
    for (const name of ["typescript", "@biomejs/biome", "mocha", "http-proxy", "node"]) {
      assert.ok(!installed(name), `${name} is left`);
    }
    accessSync(join(image, "dist", "main.js"), constants.X_OK);
  });

  it("make a Sluice that a user without rights starts from a tree that it cannot write", async () => {
    const { port } = upstream.address() as AddressInfo;
    const manifests = [ingressManifest(), serviceManifest, sliceManifest(port)].join("---\n");
    const flags = ["--http-port=0", "--https-port=0", "--admin-port=0", "--workers=1"];
    const asUser =
      process.getuid?.() === 0 ? ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs"] : [];
    const sluice = new SluiceProcess(["serve", ...flags, "--manifests", "-"], {
      command: [...asUser, process.execPath, "dist/main.js"],
      cwd: image,
      input: manifests,
    });
    try {
      const { http, admin } = await sluice.ready();
      assert.equal((await get(http, "/", "shop.example")).body, "hello");
      assert.equal((await get(admin, "/readyz")).status, 200);
      if (asUser.length > 0) {
        const status = await readFile(`/proc/${sluice.pid}/status`, "utf8");
        assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
        assert.match(status, /^CapEff:\t0+$/m);
      }
      sluice.signal("SIGTERM");
      assert.equal((await sluice.finished).code, 0);
    } finally {
      if (sluice.running) await sluice.kill();
    }
  });

  it("make a sluice render that finds its templates", async () => {
    const { stdout } = await new SluiceProcess(["render", "--manifests", "-"], {
      command: [process.execPath, "dist/main.js"],
      cwd: image,
      input: [ingressManifest(), serviceManifest, sliceManifest(8001)].join("---\n"),
    }).finished;
    assert.match(stdout, /server_name shop\.example;/);
  });
});

/** What an image's layers are to a process with another user, and to root as well as far as modes can say it. */
async function makeReadOnly(path: string): Promise<void> {
  await run("chmod", ["-R", "a-w,a+rX", path]);
}
