import assert from "node:assert/strict";
import type { IngressClass } from "../../src/sources/objects.ts";
import type { TranslateSettings } from "../../src/translate/translate.ts";
import { type IngressOptions, ingress, ingressClass } from "../support/fixtures.ts";
import { problemLines, problemPlaces, translateObjects } from "../support/translation.ts";

const ours = "sluice.dev/ingress-controller";
const annotation = (value: string) => ({ annotations: { "kubernetes.io/ingress.class": value } });

describe("an Ingress is served", () => {
  const rows: readonly {
    readonly title: string;
    readonly ingress: IngressOptions;
    readonly classes?: readonly IngressClass[];
    readonly settings?: Partial<TranslateSettings>;
    readonly served: boolean;
    readonly problem?: boolean;
  }[] = [
    {
      title: "when its class has our controller",
      ingress: { class: "web" },
      classes: [ingressClass("web", ours)],
      served: true,
    },
    { title: "when its class is named as ours and does not exist", ingress: { class: "sluice" }, served: true },
    {
      title: "not when the class named as ours belongs to another controller",
      ingress: { class: "sluice" },
      classes: [ingressClass("sluice", "example.com/other")],
      served: false,
    },
    {
      title: "not when its class belongs to another controller",
      ingress: { class: "nginx" },
      classes: [ingressClass("nginx", "k8s.io/ingress-nginx")],
      served: false,
    },
    {
      title: "not when its class does not exist, which is told",
      ingress: { class: "nginx" },
      served: false,
      problem: true,
    },
    {
      title: "when the controller's name is set to the one its class has",
      ingress: { class: "web" },
      classes: [ingressClass("web", "example.com/mine")],
      settings: { controllerClass: "example.com/mine" },
      served: true,
    },
    {
      title: "when the legacy annotation names our class",
      ingress: { class: null, ...annotation("sluice") },
      served: true,
    },
    {
      title: "not when the legacy annotation names another",
      ingress: { class: null, ...annotation("nginx") },
      served: false,
    },
    {
      title: "not when the legacy annotation names another, though classless ones are watched",
      ingress: { class: null, ...annotation("nginx") },
      settings: { watchIngressWithoutClass: true },
      served: false,
    },
    {
      title: "not when the field names another class and the annotation ours",
      ingress: { class: "nginx", ...annotation("sluice") },
      classes: [ingressClass("nginx", "k8s.io/ingress-nginx")],
      served: false,
    },
    {
      title: "when the field names our class and the annotation another",
      ingress: { class: "sluice", ...annotation("nginx") },
      served: true,
    },
    { title: "not without any class", ingress: { class: null }, served: false },
    {
      title: "without any class when that is asked for",
      ingress: { class: null },
      settings: { watchIngressWithoutClass: true },
      served: true,
    },
    {
      title: "without any class when a class of ours is the default",
      ingress: { class: null },
      classes: [ingressClass("web", ours, { default: true })],
      served: true,
    },
    {
      title: "not without any class when the default class is another controller's",
      ingress: { class: null },
      classes: [ingressClass("nginx", "k8s.io/ingress-nginx", { default: true }), ingressClass("web", ours)],
      served: false,
    },
    {
      title: "when --ingress-class is its class",
      ingress: { class: "public" },
      settings: { ingressClass: "public" },
      served: true,
    },
  ];
  for (const row of rows) {
    it(row.title, () => {
      const translation = translateObjects(
        [ingress("shop/web", { hosts: { "a.example": null }, ...row.ingress }), ...(row.classes ?? [])],
        row.settings === undefined ? {} : { settings: row.settings },
      );
      assert.deepEqual(translation.served, row.served ? ["shop/web"] : []);
      assert.deepEqual(
        translation.snapshot.hosts.map((host) => host.name),
        row.served ? ["a.example"] : [],
      );
      const problems = row.problem === true ? ["ClassNotFound Ingress shop/web spec.ingressClassName"] : [];
      assert.deepEqual(problemPlaces(translation), problems);
    });
  }

  it("or told which classes it may name", () => {
    const translation = translateObjects([
      ingress("shop/web", { class: "nginx", hosts: { "a.example": null } }),
      ingressClass("web", ours),
      ingressClass("other", "example.com/other"),
    ]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/web: spec.ingressClassName: IngressClass "nginx" does not exist; create it, or name a class that Sluice serves: "sluice" and "web" [ClassNotFound]',
    ]);
  });

  it("beside another one when it asks to be its canary, of which it hides neither hosts nor certificate", () => {
    const canary = { "nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/auth-url": "http://a" };
    const translation = translateObjects([
      ingress("shop/canary", {
        annotations: canary,
        hosts: { "a.example": null },
        tls: [["missing", ["a.example"]]],
        created: 1,
      }),
      ingress("shop/web", { hosts: { "a.example": null }, created: 2 }),
    ]);
    assert.deepEqual(translation.served, ["shop/canary", "shop/web"]);
    assert.deepEqual(translation.snapshot.tls, []);
    assert.deepEqual(
      translation.problems.map(({ code, object }) => `${code} ${object.name}`),
      ["CanaryAnnotation canary"],
    );
  });
});
