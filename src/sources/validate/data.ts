/**
 * Reads Secrets and ConfigMaps: keys, base64 and sizes as the API server judges them. A value of a Secret never
 * appears in a Problem, whatever is wrong with it.
 */
import type { ConfigMap, Meta, Secret } from "../objects.ts";
import { checkName, dataKey } from "./names.ts";
import type { Report } from "./report.ts";
import { isAbsent, keyed, type Mapping, readMapping, readText, readTexts } from "./values.ts";

/** Of all values together, as etcd can hold. */
const mostBytes = 1024 * 1024;

export function readSecret(report: Report, raw: Mapping, meta: Meta): Secret {
  const type = readText(report, "type", raw.type);
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of secretTexts(report, "data", raw.data)) {
    const bytes = decodeBase64(text);
    if (bytes === null)
      report.invalid(keyed("data", key), "the value is not base64; encode it, or write it under stringData");
    else data.set(key, bytes);
  }
  for (const [key, text] of secretTexts(report, "stringData", raw.stringData)) data.set(key, Buffer.from(text));
  checkSize(
    report,
    [...data.values()].reduce((sum, bytes) => sum + bytes.length, 0),
  );
  if (type === "kubernetes.io/tls") {
    for (const key of ["tls.crt", "tls.key"]) {
      if (!data.has(key) && report.isClean("stringData"))
        report.invalid(keyed("data", key), `a Secret of type ${type} needs this key; write it`);
    }
  }
  return { kind: "Secret", meta, type: type === "" ? "Opaque" : type, data };
}

export function readConfigMap(report: Report, raw: Mapping, meta: Meta): ConfigMap {
  const entries = readTexts(report, "data", raw.data);
  for (const [key] of entries) checkName(report, "data", key, "a key", dataKey);
  checkSize(
    report,
    entries.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0),
  );
  return { kind: "ConfigMap", meta, data: new Map(entries) };
}

/** As readTexts, but no message quotes a value. */
function secretTexts(report: Report, field: string, value: unknown): [string, string][] {
  const entries: [string, string][] = [];
  for (const [key, text] of Object.entries(readMapping(report, field, value))) {
    checkName(report, field, key, "a key", dataKey);
    if (typeof text === "string") entries.push([key, text]);
    else if (isAbsent(text)) entries.push([key, ""]);
    else report.invalid(keyed(field, key), "the value is not text; put it in quotes");
  }
  return entries;
}

/** Standard alphabet with padding; line breaks are skipped, as Go's decoder does. Null when it is anything else. */
function decodeBase64(text: string): Uint8Array | null {
  const joined = text.replace(/[\r\n]+/g, "");
  if (joined.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(joined)) return null;
  return new Uint8Array(Buffer.from(joined, "base64"));
}

function checkSize(report: Report, bytes: number): void {
  if (bytes > mostBytes) report.invalid("data", `${bytes} bytes of data are too many; use at most ${mostBytes}`);
}
