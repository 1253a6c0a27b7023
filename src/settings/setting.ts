/** The shape of one row of the settings table, and the commands whose flags the rows are. */
import type { ValueType } from "./value.ts";

export const commandNames = ["serve", "render", "demo"] as const;
export type CommandName = (typeof commandNames)[number];

export interface Setting<T> {
  /** Without the dashes. */
  readonly flag: string;
  /** Key of ingress-nginx's ConfigMap with this meaning; null where there is none. */
  readonly configMap: string | null;
  readonly type: ValueType<T>;
  readonly default: T;
  /** One sentence for help and reference; says what 0 and "" mean where they are allowed. */
  readonly summary: string;
  readonly commands: readonly CommandName[];
}
