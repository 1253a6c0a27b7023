/**
 * Keeps one object for all equal policies: a hundred thousand routes cost a few policies, and whoever compiles policies
 * may do it once for each object.
 */
import { policyKey } from "../features/registry.ts";
import type { Policy } from "../model/policy.ts";

/** Weak, so that policies which no Ingress asks for any more are not kept for ever. */
const policies = new Map<string, WeakRef<Policy>>();

const forgotten = new FinalizationRegistry<string>((key) => {
  // An equal policy may have been made since the old one was collected.
  if (policies.get(key)?.deref() === undefined) policies.delete(key);
});

/** The first policy seen that equals this one. */
export function onePolicy(policy: Policy): Policy {
  const key = policyKey(policy);
  const known = policies.get(key)?.deref();
  if (known !== undefined) return known;
  policies.set(key, new WeakRef(policy));
  forgotten.register(policy, key);
  return policy;
}
