/** docs/benchmarks.svg: for each workload a bar a peer, as long as its CPU time an operation is a multiple of bare nginx's. */
import { figureOf, ratioOf } from "./judge.ts";
import type { Column } from "./report.ts";
import type { Result } from "./run.ts";

const width = 760;
const left = 130;
const right = 60;
const barHeight = 14;
const barStep = 18;
const titleHeight = 30;
const top = 34;

interface Bar {
  readonly label: string;
  readonly ratio: number;
  readonly own: boolean;
}

interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** Empty when no workload has figures of nginx. `columns` are the peers besides Sluice. */
export function chart(results: readonly Result[], columns: readonly Column[]): string {
  const groups = results.map((result) => groupOf(result, columns)).filter(({ bars }) => bars.length > 1);
  if (groups.length === 0) return "";
  const bars = groups.flatMap((group) => group.bars);
  // Bars beyond it are cut, and tell their figure; else one slow peer would make all others alike.
  const most = Math.min(8, Math.max(...bars.map(({ ratio }) => ratio)));
  const scale = (width - left - right) / most;
  let y = top;
  const parts: string[] = [];
  for (const { title, bars: own } of groups) {
    parts.push(text(12, y + 18, title, "title"));
    y += titleHeight;
    for (const bar of own) {
      parts.push(barOf(bar, y, most, scale));
      y += barStep;
    }
  }
  const height = y + 12;
  const one = (left + scale).toFixed(1);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="12">
<title>CPU time an operation, as a multiple of bare nginx's</title>
<style>.title{font-weight:600;font-size:13px}.bar{fill:#9aa5b1}.own{fill:#0b7285}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
${text(12, 20, "CPU time an operation, as a multiple of bare nginx's; shorter is better", "title")}
<line x1="${one}" y1="${top}" x2="${one}" y2="${height - 8}" stroke="#868e96" stroke-dasharray="3 3"/>
${parts.join("\n")}
</svg>
`;
}

function groupOf(result: Result, columns: readonly Column[]): Group {
  const peers = [{ peer: "sluice", head: "Sluice" }, ...columns];
  const bars = peers.flatMap(({ peer, head }): Bar[] => {
    const ratio = ratioOf(result, peer, "nginx", "cpu");
    return ratio === null ? [] : [{ label: head, ratio, own: peer === "sluice" }];
  });
  const cost = figureOf(result, "nginx", "cpu");
  return { title: `${result.workload.title} (nginx: ${cost === null ? "-" : cost.toFixed(0)} µs)`, bars };
}

function barOf({ label, ratio, own }: Bar, y: number, most: number, scale: number): string {
  const length = (Math.min(ratio, most) * scale).toFixed(1);
  const end = left + Number(length) + 6;
  return [
    `<text x="${left - 8}" y="${y + 11}" text-anchor="end">${escaped(label)}</text>`,
    `<rect class="${own ? "own" : "bar"}" x="${left}" y="${y}" width="${length}" height="${barHeight}"/>`,
    text(end, y + 11, ratio.toFixed(2), ""),
  ].join("");
}

function text(x: number, y: number, content: string, style: string): string {
  return `<text x="${x}" y="${y}"${style === "" ? "" : ` class="${style}"`}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
