/** What is remembered of the hosts that clients ask for is what looking it up anew gives. */
import assert from "node:assert/strict";
import { AskedHosts } from "../../src/proxy/asked-hosts.ts";
import { normaliseHost } from "../../src/router/hosts.ts";
import type { TableHost } from "../../src/router/table.ts";

const shop = { name: "shop.example" } as TableHost<number>;

describe("the hosts that clients ask for", () => {
  it("are the same at the first and the next question", () => {
    const looked: string[] = [];
    const asked = new AskedHosts<number>({
      host(name) {
        looked.push(name);
        return name === "shop.example" ? shop : null;
      },
    });
    for (const authority of [
      "shop.example",
      "Shop.Example:8080",
      "shop.example.",
      "other.example",
      "",
      "a..b",
      "[::1]",
    ]) {
      const name = normaliseHost(authority);
      for (let time = 0; time < 2; time++) {
        const { name: given, found } = asked.find(authority);
        assert.deepEqual({ given, found }, { given: name, found: name === "shop.example" ? shop : null });
      }
    }
    // Once each, and what is no host not at all.
    assert.equal(looked.length, 6);
  });

  it("are forgotten when there are too many, and found all the same", () => {
    let looked = 0;
    const asked = new AskedHosts<number>({
      host() {
        looked++;
        return null;
      },
    });
    for (let index = 0; index < 20_000; index++) asked.find(`host-${index}.example`);
    asked.find("host-19999.example");
    assert.equal(looked, 20_000);
    const { name, found } = asked.find("host-0.example");
    assert.deepEqual({ name, found }, { name: "host-0.example", found: null });
    assert.equal(looked, 20_001);
  });
});
