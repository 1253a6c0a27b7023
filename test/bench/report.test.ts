import assert from "node:assert/strict";
import { chart } from "./chart.ts";
import { proxyCores } from "./cores.ts";
import { ratioOf, verdicts } from "./judge.ts";
import { pacedRounds } from "./paced.ts";
import { document, figureTable, markdown, misses, ratioTable, verdictTable } from "./report.ts";
import type { Result } from "./run.ts";
import { usualSite } from "./site.ts";
import type { Bound, Measurement } from "./workload.ts";

const columns = [
  { peer: "nginx", head: "nginx" },
  { peer: "caddy", head: "Caddy" },
];

function result(figures: Readonly<Record<string, readonly Measurement[]>>, bounds: readonly Bound[] = []): Result {
  return {
    workload: {
      name: "h1",
      title: "HTTP/1.1 <64>",
      variants: [{ label: "", site: usualSite, drive: { kind: "handshakes", resumed: false } }],
      peers: Object.keys(figures),
      quick: [],
      once: false,
      bounds,
    },
    subjects: Object.entries(figures).map(([name, rounds]) => ({
      name,
      peer: name,
      title: name,
      rounds,
      failure: null,
    })),
  };
}

const bound: Bound = { metric: "cpu", of: "sluice", to: "nginx", limit: "at most", must: 1.4, aim: 1.1 };

describe("the benchmark's judgement", () => {
  it("takes the median of the ratios within rounds, not the ratio of medians", () => {
    const sluice = [{ cpu: 10 }, { cpu: 40 }, { cpu: 24 }];
    const nginx = [{ cpu: 10 }, { cpu: 20 }, { cpu: 20 }];
    assert.equal(ratioOf(result({ sluice, nginx }), "sluice", "nginx", "cpu"), 1.2);
  });

  it("takes the ratio of the medians of what is a difference, which may be nothing in one round", () => {
    const sluice = [{ added: 0.8 }, { added: 0.6 }, { added: 0.1 }];
    const nginx = [{ added: 0.001 }, { added: 0.3 }, { added: 0.5 }];
    assert.equal(ratioOf(result({ sluice, nginx }), "sluice", "nginx", "added"), 2);
  });

  it("decides no bound whose other side has no figures", () => {
    assert.deepEqual(verdicts(result({ sluice: [{ cpu: 10 }], nginx: [] }, [bound])), []);
  });

  for (const [cpu, must, aim] of [
    [21, true, true],
    [26, true, false],
    [29, false, false],
  ] as const) {
    it(`says of ${cpu} to 20 µs that the bound ${must ? "holds" : "is missed"} and the aim ${aim ? "too" : "is missed"}`, () => {
      const [verdict] = verdicts(result({ sluice: [{ cpu }], nginx: [{ cpu: 20 }] }, [bound]));
      assert.deepEqual([verdict?.must, verdict?.aim], [must, aim]);
    });
  }

  it("holds what must be at least, and a figure that is compared with none", () => {
    const least: Bound = { metric: "resumed", of: "sluice", to: null, limit: "at least", must: 0.99, aim: null };
    const [verdict] = verdicts(result({ sluice: [{ resumed: 0.98 }] }, [least]));
    assert.deepEqual([verdict?.must, verdict?.aim, verdict?.value], [false, null, 0.98]);
  });
});

describe("the benchmark's rounds at a fixed rate", () => {
  it("are as many seconds as other workloads are loaded for, and enough for a median in any case", () => {
    assert.equal(pacedRounds({ rounds: 3, duration: 2 }), 15);
    assert.equal(pacedRounds({ rounds: 5, duration: 6 }), 30);
  });
});

describe("the benchmark's report", () => {
  const measured = result({ sluice: [{ cpu: 30, rate: 1000 }], nginx: [{ cpu: 20, rate: 2000 }] }, [bound]);

  it("prints a line a workload and a column a peer that has figures", () => {
    assert.deepEqual(ratioTable([measured], columns).split("\n"), [
      "| Sluice's CPU time to |   µs | nginx |",
      "| -------------------- | ---: | ----: |",
      "| HTTP/1.1 <64>        | 30.0 |  1.50 |",
      "",
    ]);
  });

  it("prints nothing where nothing was measured", () => {
    assert.equal(ratioTable([], columns), "");
    assert.equal(verdictTable([]), "");
    assert.equal(chart([], columns), "");
  });

  it("tells the bounds that are missed and the subjects that failed, each on one line", () => {
    const failed = { name: "caddy", peer: "caddy", title: "Caddy", rounds: [], failure: "it did\nnot start" };
    const [miss, failure] = misses([{ ...measured, subjects: [...measured.subjects, failed] }]);
    assert.match(miss ?? "", /^h1: CPU .* of sluice to nginx: at most 1\.4, aim 1\.1, measured 1\.50$/);
    assert.equal(failure, "h1: caddy failed: it did not start");
    assert.match(verdictTable([measured]), /1\.50 \|\s+MISSED \|/);
  });

  it("lists every figure of a subject, with the range of its CPU time", () => {
    const table = figureTable(
      result({
        sluice: [
          { cpu: 30, rate: 1000 },
          { cpu: 20, rate: 1100 },
        ],
      }),
    );
    assert.match(table, /^\| {8}\| CPU µs an operation \| operations a second \| range of CPU \|$/m);
    assert.match(table, /^\| sluice \| +25\.0 \| +1050 \| +20\.0-30\.0 \|$/m);
  });

  it("writes a page with the command, the versions, the date and who was not there", () => {
    const page = document({
      results: [measured],
      columns,
      skipped: ["httpxy (npm install --save-dev httpxy)"],
      command: "npm run bench -- --write",
      versions: ["nginx 1.2.3"],
      date: new Date("2026-01-02T03:04:05Z"),
      rounds: 5,
      seconds: 6,
    });
    assert.match(page, /`npm run bench -- --write` wrote this page/);
    assert.match(page, /Measured on 2026-01-02: nginx 1\.2\.3\. Not installed: httpxy/);
    assert.match(page, /^- h1: CPU .*measured 1\.50\.$/m);
  });

  it("aligns text to the left and figures to the right", () => {
    assert.equal(markdown(["a", "b"], [["text", "1"]]), "| a    |   b |\n| ---- | --: |\n| text |   1 |\n");
  });
});

describe("the benchmark's chart", () => {
  it("draws a bar a peer with its ratio to nginx, and keeps markup in titles out", () => {
    const svg = chart([result({ sluice: [{ cpu: 30 }], nginx: [{ cpu: 20 }], caddy: [{ cpu: 400 }] })], columns);
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.match(svg, /HTTP\/1\.1 &lt;64&gt; \(nginx: 20 µs\)/);
    assert.equal(svg.match(/<rect class="(own|bar)"/g)?.length, 3);
    const [own, , cut] = [...svg.matchAll(/<rect class="\w+" x="130" y="\d+" width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    // 20 times nginx would make all other bars alike: it is cut at 8 times.
    assert.ok(own !== undefined && cut !== undefined && Math.abs(cut / own - 8 / 1.5) < 0.01);
    assert.match(svg, />20\.00<\/text>/);
  });
});

describe("the benchmark's cores", () => {
  it("give one core to one worker, and as many as workers only where one is left for the load", () => {
    assert.equal(proxyCores(1, 8), "0");
    assert.equal(proxyCores(2, 2), "0");
    assert.equal(proxyCores(2, 4), "0-1");
  });
});
