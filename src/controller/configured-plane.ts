/** The data plane as the controller sees it (serve/dataplane). */
import type { PrivateKeys, Snapshot } from "../model/snapshot.ts";
import type { Settings } from "../settings.ts";
import type { UnavailablePort } from "./unavailable-ports.ts";

/** What is given to it resolves when it is in force, in the order of the calls. */
export interface ConfiguredPlane {
  publish(snapshot: Snapshot, keys: PrivateKeys): Promise<void>;
  configure(settings: Settings): Promise<void>;
  /** Ports of TCP and UDP services that it cannot listen on now. */
  readonly unavailablePorts: readonly UnavailablePort[];
  /** Tells when they are others. */
  onPortsChange(listener: () => void): unknown;
}
