/**
 * Decides which Ingresses are ours, by IngressClass, by the legacy annotation or by the settings for Ingresses without a
 * class, and puts them in order of age: everything after this follows that order, so arrival order cannot matter.
 */

import { quote } from "../features/feature.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { Ingress, IngressClass, Objects } from "../sources/objects.ts";
import { listed, problemAt } from "./mistake.ts";

export interface ClassSettings {
  /** Ingresses that name this class are ours even where no IngressClass object of that name exists. */
  readonly ingressClass: string;
  /** spec.controller of the IngressClasses that are ours. */
  readonly controllerClass: string;
  /** Ingresses that name no class are ours. */
  readonly watchIngressWithoutClass: boolean;
}

const classAnnotation = "kubernetes.io/ingress.class";
const defaultAnnotation = "ingressclass.kubernetes.io/is-default-class";

/** The Ingresses to serve, oldest first (creation time, then namespace, then name), and a Problem for each class that is missing. */
export function selectIngresses(
  objects: Pick<Objects, "ingresses" | "ingressClasses">,
  settings: ClassSettings,
): { readonly ingresses: readonly Ingress[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const ingresses: Ingress[] = [];
  const withoutClass = settings.watchIngressWithoutClass || hasDefaultClass(objects.ingressClasses, settings);
  for (const ingress of objects.ingresses.values()) {
    const { ingressClassName } = ingress;
    if (ingressClassName === null) {
      const annotation = ingress.meta.annotations[classAnnotation];
      if (annotation === undefined ? withoutClass : annotation === settings.ingressClass) ingresses.push(ingress);
      continue;
    }
    // The field wins over the annotation: the API server refuses both on creation, but keeps old objects that have both.
    const named = objects.ingressClasses.get(ingressClassName);
    if (named === undefined ? ingressClassName === settings.ingressClass : isOurs(named, settings)) {
      ingresses.push(ingress);
    } else if (named === undefined) {
      problems.push(missingClass(ingress, ingressClassName, objects.ingressClasses, settings));
    }
  }
  return { ingresses: ingresses.sort(compareAge), problems };
}

function compareAge(a: Ingress, b: Ingress): number {
  return (
    a.meta.creationTimestamp - b.meta.creationTimestamp ||
    compareText(a.meta.namespace, b.meta.namespace) ||
    compareText(a.meta.name, b.meta.name)
  );
}

function hasDefaultClass(classes: Objects["ingressClasses"], settings: ClassSettings): boolean {
  for (const ingressClass of classes.values()) {
    if (isOurs(ingressClass, settings) && ingressClass.meta.annotations[defaultAnnotation] === "true") return true;
  }
  return false;
}

function isOurs(ingressClass: IngressClass, settings: ClassSettings): boolean {
  return ingressClass.controller === settings.controllerClass;
}

function missingClass(
  ingress: Ingress,
  name: string,
  classes: Objects["ingressClasses"],
  settings: ClassSettings,
): Problem {
  const ours = [...classes.values()].filter((each) => isOurs(each, settings)).map((each) => each.meta.name);
  const names = [...new Set([settings.ingressClass, ...ours])].sort(compareText).map(quote);
  return problemAt(
    ingress,
    "spec.ingressClassName",
    "ClassNotFound",
    `IngressClass ${quote(name)} does not exist; create it, or name a class that Sluice serves: ${listed(names)}`,
  );
}
