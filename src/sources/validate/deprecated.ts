/**
 * Ingresses of extensions/v1beta1 and networking.k8s.io/v1beta1, which no API server since Kubernetes 1.22 accepts.
 * They are not used; the Problem shows the v1 form of the object's own backend fields, ready to copy.
 */
import { quote, type Report } from "./report.ts";
import { isAbsent, isMapping, type Mapping } from "./values.ts";

/** An object may hold thousands of paths; the first ones show the form. */
const mostShown = 5;

export function reportDeprecated(report: Report, raw: Mapping): void {
  const { spec } = raw;
  const forms = isMapping(spec) ? v1Forms(spec) : [];
  const shown = forms.slice(0, mostShown).join("; ");
  const rest = forms.length > mostShown ? `; and ${forms.length - mostShown} more paths in the same way` : "";
  const fields = forms.length === 0 ? "" : `, and its fields as ${shown}${rest}`;
  const message = `${quote(raw.apiVersion)} no longer exists; write apiVersion: networking.k8s.io/v1${fields}`;
  report.invalid("apiVersion", message, "DeprecatedVersion");
}

/** The v1 form of `{serviceName, servicePort}`: `backend: {service: {name: web, port: {number: 80}}}`. */
export function describeBackend(backend: Mapping, field = "backend"): string {
  if (isMapping(backend.resource)) {
    const { apiGroup, kind, name } = backend.resource;
    const group = isAbsent(apiGroup) ? "" : `apiGroup: ${plain(apiGroup)}, `;
    return `${field}: {resource: {${group}kind: ${plain(kind)}, name: ${plain(name)}}}`;
  }
  return `${field}: {service: {name: ${plain(backend.serviceName)}, port: ${describePort(backend.servicePort)}}}`;
}

function v1Forms(spec: Mapping): string[] {
  const forms: string[] = [];
  if (isMapping(spec.backend)) forms.push(`spec: ${describeBackend(spec.backend, "defaultBackend")}`);
  for (const [i, rule] of entries(spec.rules)) {
    const paths = isMapping(rule) && isMapping(rule.http) ? rule.http.paths : null;
    for (const [j, path] of entries(paths)) {
      if (!isMapping(path)) continue;
      forms.push(`spec.rules[${i}].http.paths[${j}]: ${describePath(path)}`);
    }
  }
  return forms;
}

function entries(value: unknown): [number, unknown][] {
  return Array.isArray(value) ? [...value.entries()] : [];
}

/** pathType had a default in v1beta1 and has none in v1; a missing path meant every path. */
function describePath(path: Mapping): string {
  const pathType = isAbsent(path.pathType) ? "ImplementationSpecific" : plain(path.pathType);
  const text = isAbsent(path.path) || path.path === "" ? "/" : path.path;
  const backend = isMapping(path.backend) ? describeBackend(path.backend) : "backend: {service: …}";
  return `{path: ${plain(text)}, pathType: ${pathType}, ${backend}}`;
}

function describePort(port: unknown): string {
  if (isAbsent(port)) return "{number: 80}";
  const isNumber = typeof port === "number" || (typeof port === "string" && /^\d+$/.test(port));
  return isNumber ? `{number: ${typeof port === "string" ? plain(Number(port)) : port}}` : `{name: ${plain(port)}}`;
}

/** Text as YAML shows it in a flow mapping: bare where that is safe, else in quotes. */
function plain(value: unknown): string {
  if (isAbsent(value)) return "…";
  const safe = typeof value === "string" && value.length <= 100 && /^[A-Za-z/][-A-Za-z0-9_./]*$/.test(value);
  return safe ? value : quote(value);
}
