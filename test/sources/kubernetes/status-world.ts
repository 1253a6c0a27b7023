/** A status writer between an API server in memory and a watch of its Ingresses, with a clock that stands still. */
import { addressesOfTexts } from "../../../src/sources/kubernetes/status/addresses.ts";
import { ObservedIngresses } from "../../../src/sources/kubernetes/status/observed.ts";
import { StatusWriter } from "../../../src/sources/kubernetes/status.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ObjectApi, part } from "./object-api.ts";
import { randomBy } from "./replicas.ts";

export const manager = "sluice/edge/leader";
export const ours = addressesOfTexts(["192.0.2.1"]);
export const raw = [{ ip: "192.0.2.1" }];

export function pathOf(key: string): string {
  const [namespace = "", name = ""] = key.split("/");
  return `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses/${name}`;
}

/** A writer, an API server that holds the Ingresses, and a watch that shows its changes after `lag` milliseconds. */
export function build({ lag = 0 } = {}) {
  const clock = new FakeClock();
  const api = new ObjectApi();
  const ingresses = new ObservedIngresses();
  const lines: string[] = [];
  const world = { leading: true, watching: true };
  const tell = (line: string, fields = {}) => lines.push(`${line} ${JSON.stringify(fields)}`);
  const writer = new StatusWriter({
    api,
    clock,
    ingresses,
    fieldManager: manager,
    random: randomBy(7),
    log: { info: tell, warn: tell },
    mayWrite: () => world.leading,
  });
  api.onStored = (path, object) => {
    const show = () => {
      if (!world.watching) return;
      if (object === null) ingresses.delete(path.replace(/.*namespaces\/([^/]+)\/ingresses\//, "$1/"));
      else ingresses.put(object);
    };
    if (lag === 0) show();
    else clock.after(lag, show);
  };
  const create = (key: string, addresses: unknown = undefined, by = "somebody") => {
    const [namespace, name] = key.split("/");
    api.put(pathOf(key), { kind: "Ingress", metadata: { namespace, name }, spec: { rules: [] }, status: {} });
    if (addresses !== undefined) overwrite(key, addresses, by);
  };
  const overwrite = (key: string, addresses: unknown, by = "somebody") =>
    api.change(pathOf(key), { status: { loadBalancer: { ingress: addresses } } }, by);
  const status = (key: string): unknown => part(part(api.read(pathOf(key)), "status"), "loadBalancer").ingress;
  const edit = (key: string) => api.change(pathOf(key), { spec: { rules: [{ host: `h${clock.elapsed()}.example` }] } });
  return { ...world, world, clock, api, ingresses, lines, writer, create, overwrite, status, edit };
}

export function serving(keys: readonly string[], options?: Parameters<typeof build>[0]) {
  const built = build(options);
  for (const key of keys) built.create(key);
  built.writer.publish(ours);
  built.writer.serve(new Set(keys));
  return built;
}
