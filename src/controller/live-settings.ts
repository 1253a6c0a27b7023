/**
 * The settings as they are now: flags and environment, overruled by the ConfigMap that the objects hold. While neither
 * changes, the very same objects are returned, for translation keeps what it has read for as long as the settings stay.
 */
import type { Problem } from "../model/problem.ts";
import { applyConfigMap, type Configured, sameSettings } from "../settings/config-map.ts";
import type { Settings } from "../settings.ts";
import type { ConfigMap, Objects } from "../sources/objects.ts";

export class LiveSettings {
  readonly #base: Settings;
  readonly #objects: Pick<Objects, "configMaps">;
  #started: Settings | null = null;
  #configMap: ConfigMap | null = null;
  #configured: Configured;

  /** `base` is what flags and environment say; `objects` is read at each call. */
  constructor(base: Settings, objects: Pick<Objects, "configMaps">) {
    this.#base = base;
    this.#objects = objects;
    this.#configMap = this.#find();
    this.#configured = applyConfigMap(this.#configMap, base, null);
  }

  /** From now on a setting that is read at the start alone stays as it is; returns what it stays as. */
  start(): Settings {
    const { settings } = this.read();
    this.#started = settings;
    return settings;
  }

  read(): { readonly settings: Settings; readonly problems: readonly Problem[] } {
    const configMap = this.#find();
    if (configMap === this.#configMap) return this.#configured;
    this.#configMap = configMap;
    const before = this.#configured;
    const after = applyConfigMap(configMap, this.#base, this.#started);
    // A key that makes no difference must not make translation read every Ingress again.
    this.#configured = sameSettings(before.settings, after.settings) ? { ...after, settings: before.settings } : after;
    return this.#configured;
  }

  #find(): ConfigMap | null {
    const { configMapName } = this.#base;
    return configMapName === null ? null : (this.#objects.configMaps.get(configMapName) ?? null);
  }
}
