/** The flags that belong to one command and to no running router, in the same shape as the settings. */
import { namespacedName } from "./names.ts";
import type { Setting } from "./setting.ts";
import { optional, text, toggle } from "./value.ts";

export interface Options {
  /** render: one host only; null: all. */
  readonly host: string | null;
  /** render: one Ingress only, as `namespace/name`. */
  readonly ingress: string | null;
  /** render: the directory to write; null: standard output. */
  readonly output: string | null;
  /** render: exit 1 when there is any Problem. */
  readonly strict: boolean;
  /** demo: where the sample manifests go; null: a temporary directory. */
  readonly directory: string | null;
}

const path = text("DIR", /./, "the path of a directory");
const hostName = text("HOST", /^\S+$/, "a host name");

export const optionsTable: { readonly [Field in keyof Options]: Setting<Options[Field]> } = {
  host: {
    flag: "host",
    configMap: null,
    type: optional(hostName),
    default: null,
    summary: "Render this host alone.",
    commands: ["render"],
  },
  ingress: {
    flag: "ingress",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: "Render the routes of this Ingress alone.",
    commands: ["render"],
  },
  output: {
    flag: "output",
    configMap: null,
    type: optional(path),
    default: null,
    summary: "Write nginx.conf and its certificates and keys to this directory; empty prints nginx.conf.",
    commands: ["render"],
  },
  strict: {
    flag: "strict",
    configMap: null,
    type: toggle,
    default: false,
    summary: "Exit with 1 when an object has any problem.",
    commands: ["render"],
  },
  directory: {
    flag: "directory",
    configMap: null,
    type: optional(path),
    default: null,
    summary: "Keep the sample manifests in this directory; empty is a temporary one, removed at the end.",
    commands: ["demo"],
  },
};
