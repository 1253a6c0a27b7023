/** The values in variants/: the ways to install the chart that people have, each rendered once and looked at by many tests. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Rendered, render } from "./helm.ts";

const directory = fileURLToPath(new URL("./variants/", import.meta.url));

const rendered = new Map<string, Promise<readonly Rendered[]>>();

export const variants: readonly string[] = readdirSync(directory)
  .map((name) => name.replace(/\.yaml$/, ""))
  .sort();

/** The values of a variant, as its file has them. */
export function readVariant(variant: string): string {
  return readFileSync(`${directory}${variant}.yaml`, "utf8");
}

export function renderVariant(variant: string): Promise<readonly Rendered[]> {
  const found = rendered.get(variant) ?? render(readVariant(variant));
  rendered.set(variant, found);
  return found;
}

/** The Deployment or DaemonSet. */
export function controllerOf(objects: readonly Rendered[]): Rendered {
  const found = objects.find(({ kind }) => kind === "Deployment" || kind === "DaemonSet");
  if (found === undefined) throw new Error("there is neither a Deployment nor a DaemonSet");
  return found;
}

export function ofKind(objects: readonly Rendered[], kind: string): readonly Rendered[] {
  return objects.filter((object) => object.kind === kind);
}
