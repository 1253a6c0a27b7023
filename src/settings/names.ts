/** Settings that name a Kubernetes object, checked as the API server would check the name. */
import { text } from "./value.ts";

const objectName = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const objectPath = `${objectName}/${objectName}(?:\\.${objectName})*`;
export const namespacedName = text(
  "NAMESPACE/NAME",
  new RegExp(`^${objectPath}$`),
  "a namespace and a name, such as shop/web",
);
export const namespaceName = text("NAMESPACE", new RegExp(`^${objectName}$`), "the name of a namespace");
export const servicePort = text(
  "NAMESPACE/NAME[:PORT]",
  new RegExp(`^${objectPath}(?::${objectName})?$`),
  "the namespace and name of a Service, such as shop/web or shop/web:80",
);
export const className = text(
  "NAME",
  new RegExp(`^${objectName}(?:\\.${objectName})*$`),
  "the name of an IngressClass",
);
export const controllerName = text(
  "NAME",
  /^[a-z0-9.-]+(?:\/[A-Za-z0-9._~-]+)*$/,
  "a controller name such as example.com/name",
);
