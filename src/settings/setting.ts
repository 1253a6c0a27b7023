/** The shape of one row of the settings table, and the commands whose flags the rows are. */
import type { ValueType } from "./value.ts";

export const commandNames = ["serve", "render", "demo"] as const;
export type CommandName = (typeof commandNames)[number];

export interface Setting<T> {
  /** Without the dashes. */
  readonly flag: string;
  /** Key in the ConfigMap of settings, ingress-nginx's where that has one of this meaning; null: a flag alone. */
  readonly configMap: string | null;
  /** A change of that key is in force at once. Without this, the value found at the start counts until the next start. */
  readonly live?: true;
  /** The value is told to nobody: no message quotes it. What its type shows must not be the value itself. */
  readonly secret?: true;
  readonly type: ValueType<T>;
  readonly default: T;
  /** One sentence for help and reference; says what 0 and "" mean where they are allowed. */
  readonly summary: string;
  readonly commands: readonly CommandName[];
}
