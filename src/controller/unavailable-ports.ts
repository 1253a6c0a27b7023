/** Ports of TCP and UDP services that the data plane cannot listen on, as problems of the entries that ask for them. */
import { streamKey } from "../model/patch.ts";
import type { Problem } from "../model/problem.ts";
import type { StreamService } from "../model/snapshot.ts";
import type { ConfigMap } from "../sources/objects.ts";
import { problemAt } from "../translate/mistake.ts";

export interface UnavailablePort {
  readonly protocol: StreamService["protocol"];
  readonly port: number;
  /** Of the system's error, such as EADDRINUSE. */
  readonly code: string;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES:
    "may not be listened on by this process; choose a port above 1023, or give it the capability NET_BIND_SERVICE",
  EADDRINUSE: "is taken by something else on this machine; choose another port, or end what has it",
};

/** One for each that the Snapshot still has. */
export function unavailablePorts(
  ports: readonly UnavailablePort[],
  streams: readonly StreamService[],
  configMaps: ReadonlyMap<string, ConfigMap>,
): readonly Problem[] {
  return ports.flatMap((port) => {
    const stream = streams.find((each) => streamKey(each) === streamKey(port));
    const configMap = stream === undefined ? undefined : configMaps.get(stream.configMap);
    if (configMap === undefined) return [];
    const reason = reasons[port.code] ?? "cannot be listened on; choose another port";
    const message = `${port.protocol.toUpperCase()} port "${port.port}" ${reason} (${port.code}, tried again every few seconds)`;
    return [problemAt(configMap, `data.${port.port}`, "PortUnavailable", message)];
  });
}
