/**
 * Where Sluice is reached: the addresses in settings, or those of the Service that exposes it, as the source sees it. What
 * was seen once stays: a Service that an uninstall deletes says nothing about the Ingresses, and the last replica takes the
 * addresses back when it leaves.
 */
import { isMapping } from "../../validate/values.ts";
import {
  addressesOfService,
  addressesOfTexts,
  formatAddresses,
  type LoadBalancerAddress,
  sameAddresses,
} from "../status/addresses.ts";
import type { WriterLog } from "../writer.ts";

export interface PublishedAddressesOptions {
  readonly log: WriterLog;
  /** IP addresses and host names; where there are any, the Service is not looked at. */
  readonly fixed: readonly string[];
  /** `namespace/name`; null: none. */
  readonly service: string | null;
  /** A Service without other addresses is reached at its cluster IPs. */
  readonly clusterIP: boolean;
}

export class PublishedAddresses {
  readonly #options: PublishedAddressesOptions;
  readonly #listeners = new Set<() => void>();
  #current: readonly LoadBalancerAddress[] | null;

  constructor(options: PublishedAddressesOptions) {
    this.#options = options;
    this.#current = options.fixed.length > 0 ? addressesOfTexts(options.fixed) : null;
  }

  /** Null: not known, because nothing is configured or the Service has never been seen. */
  get current(): readonly LoadBalancerAddress[] | null {
    return this.#current;
  }

  /** The Service that should have been seen by now, and was not; null: none. */
  get missing(): string | null {
    return this.#current === null ? this.#options.service : null;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** A Service as the API server sends it; ignored unless it is the one. */
  observe(key: string, raw: unknown): void {
    const { fixed, service, clusterIP, log } = this.#options;
    if (fixed.length > 0 || key !== service || !isMapping(raw)) return;
    const next = addressesOfService(raw, clusterIP);
    if (this.#current !== null && sameAddresses(this.#current, next)) return;
    this.#current = next;
    log.info("the Service has these addresses for the status of Ingresses", {
      service,
      addresses: formatAddresses(next),
    });
    for (const listener of this.#listeners) listener();
  }
}
