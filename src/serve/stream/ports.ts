/**
 * The ports of TCP and UDP services that a worker listens on, as the Snapshot has them: opened, changed and closed one by
 * one. A port that cannot be opened is told, tried again later, and keeps none of the others waiting.
 */
import { type Changes, isEmpty, streamKey } from "../../model/patch.ts";
import type { StreamService } from "../../model/snapshot.ts";
import { addressSet } from "../address-set.ts";
import type { ListenOn, UnavailablePort, WorkerSettings } from "../messages.ts";
import { lacksAddress, type StreamPlace } from "../ports/find-ports.ts";
import type { HeaderRules, StreamHost, StreamPort } from "./port.ts";
import { TcpPort } from "./tcp-port.ts";
import { UdpPort } from "./udp-port.ts";

/** Milliseconds until a port that could not be opened is tried again. */
const retryAfter = 5000;

/** Milliseconds at shutdown that a UDP service may still answer. */
const settleFor = 5000;

export type HeaderSettings = Pick<WorkerSettings, "proxyProtocolFrom" | "proxyProtocolHeaderTimeout">;

export function headerRules({ proxyProtocolFrom, proxyProtocolHeaderTimeout }: HeaderSettings): HeaderRules {
  return { believes: addressSet(proxyProtocolFrom), timeout: proxyProtocolHeaderTimeout };
}

export interface StreamPortsOptions {
  readonly host: StreamHost;
  readonly listenOn: Pick<ListenOn, "address" | "shared">;
  /** Asked before a port is shared: the code of the system's error where it is somebody else's, null where it may be. */
  readonly claim: (place: StreamPlace) => Promise<string | null>;
  /** Told when a port that was claimed is not listened on any more. */
  readonly release: (place: StreamPlace) => void;
  /** Told all ports that cannot be listened on, whenever there are others. */
  readonly unavailable: (ports: readonly UnavailablePort[]) => void;
}

export class StreamPorts {
  readonly #options: StreamPortsOptions;
  readonly #ports = new Map<string, StreamPort>();
  /** Where those are that have been claimed; the same keys. */
  readonly #claimed = new Map<string, StreamPlace>();
  /** Ports that are gone, with connections that live on. */
  readonly #leaving = new Set<StreamPort>();
  readonly #unavailable = new Map<string, { readonly service: StreamService; readonly code: string }>();
  #told = "";
  #retry: NodeJS.Timeout | null = null;
  #draining = false;
  #emptied: (() => void) | null = null;
  /** One change after the other: a port must not be closed while it is being opened. */
  #changes: Promise<void> = Promise.resolve();

  constructor(options: StreamPortsOptions) {
    this.#options = options;
  }

  apply(changes: Changes<StreamService>): void {
    if (!isEmpty(changes)) this.#change(() => changes);
  }

  /** For connections from now on. */
  configure(settings: HeaderSettings): void {
    this.#options.host.headers = headerRules(settings);
  }

  /** Resolves when all that was asked for until now is in force, as far as it can be. */
  get opened(): Promise<void> {
    return this.#changes;
  }

  /** Listens no more; resolves when all connections have ended, or `grace` milliseconds have passed and the rest is cut. */
  async drain(grace: number): Promise<void> {
    this.#draining = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#changes;
    for (const [key, port] of [...this.#ports]) {
      port.drain(Math.min(settleFor, grace));
      this.#leave(key, port);
    }
    await this.#empty(grace);
    for (const port of this.#leaving) {
      port.destroy();
      port.close();
    }
  }

  #change(decide: () => Changes<StreamService>): void {
    this.#changes = this.#changes.then(async () => {
      if (this.#draining) return;
      const { set, gone } = decide();
      for (const key of gone) this.#close(key);
      await Promise.all(set.map((service) => this.#set(service)));
      this.#tell();
    });
  }

  async #set(service: StreamService): Promise<void> {
    const key = streamKey(service);
    this.#unavailable.delete(key);
    const port = this.#ports.get(key);
    if (port === undefined) await this.#open(key, service);
    else port.update(service);
  }

  async #open(key: string, service: StreamService): Promise<void> {
    const { address } = this.#options.listenOn;
    const failure = await this.#listen(key, service, address);
    // A machine without IPv6 has no "::" to listen on; all of IPv4 is what was meant.
    const other = address === "::" && failure !== null && lacksAddress({ code: failure });
    const code = other ? await this.#listen(key, service, "0.0.0.0") : failure;
    if (code !== null) this.#unavailable.set(key, { service, code });
  }

  /** The code of the system's error; null: it listens. */
  async #listen(key: string, service: StreamService, address: string): Promise<string | null> {
    const { host, listenOn, claim, release } = this.#options;
    const place = { protocol: service.protocol, address, port: service.port };
    const taken = listenOn.shared ? await claim(place) : null;
    if (taken !== null) return taken;
    const emptied = (): void => this.#noticeEmpty(port);
    const port: StreamPort =
      service.protocol === "tcp" ? new TcpPort(service, host, emptied) : new UdpPort(service, host, emptied);
    try {
      await port.listen(address, listenOn.shared);
    } catch (error) {
      if (listenOn.shared) release(place);
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
    this.#ports.set(key, port);
    if (listenOn.shared) this.#claimed.set(key, place);
    return null;
  }

  #close(key: string): void {
    this.#unavailable.delete(key);
    const port = this.#ports.get(key);
    if (port === undefined) return;
    port.close();
    const place = this.#claimed.get(key);
    if (place !== undefined) this.#options.release(place);
    this.#leave(key, port);
  }

  #leave(key: string, port: StreamPort): void {
    this.#ports.delete(key);
    this.#claimed.delete(key);
    if (port.open > 0) this.#leaving.add(port);
  }

  #tell(): void {
    const ports = [...this.#unavailable.values()].map(({ service: { protocol, port }, code }) => ({
      protocol,
      port,
      code,
    }));
    const text = JSON.stringify(ports);
    if (text !== this.#told) {
      this.#told = text;
      this.#options.unavailable(ports);
    }
    if (ports.length > 0 && !this.#draining) this.#retryLater();
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#change(() => ({ set: [...this.#unavailable.values()].map(({ service }) => service), gone: [] }));
    }, retryAfter).unref();
  }

  #empty(ms: number): Promise<void> {
    if (this.#leaving.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#emptied = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #noticeEmpty(port: StreamPort): void {
    if (this.#leaving.delete(port) && this.#leaving.size === 0) this.#emptied?.();
  }
}
