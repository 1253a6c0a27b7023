/**
 * Ports as the API accepts them: numbers from 1 to 65535, names by IANA_SVC_NAME, and the three protocols.
 */
import type { PortRef } from "../objects.ts";
import { checkName, portName } from "./names.ts";
import { quote, type Report } from "./report.ts";
import { isAbsent, readInteger, readText } from "./values.ts";

type Protocol = "TCP" | "UDP" | "SCTP";

/** A port number from 1 to 65535; 0 with a Problem for everything else, absence included. */
export function readPortNumber(report: Report, field: string, value: unknown): number {
  if (isAbsent(value)) {
    report.invalid(field, "a port is required; write a number from 1 to 65535");
    return 0;
  }
  const port = readInteger(report, field, value);
  return port === null ? 0 : checkPortNumber(report, field, port);
}

/** The number itself, or 0 with a Problem when it is out of range. */
export function checkPortNumber(report: Report, field: string, port: number): number {
  if (port >= 1 && port <= 65_535) return port;
  report.invalid(field, `${quote(port)} is not a port; write a number from 1 to 65535`);
  return 0;
}

/** A target port: a number, or the name of a container's port. `fallback` counts when it is absent, 0 or "". */
export function readPortOrName(report: Report, field: string, value: unknown, fallback: number): PortRef {
  if (isAbsent(value) || value === 0 || value === "") return { name: null, number: fallback };
  if (typeof value === "string") {
    checkName(report, field, value, "a port name", portName);
    return { name: value, number: null };
  }
  return { name: null, number: readPortNumber(report, field, value) };
}

/** The protocol; TCP when it is absent. */
export function readProtocol(report: Report, field: string, value: unknown): Protocol {
  const protocol = readText(report, field, value);
  switch (protocol) {
    case "TCP":
    case "UDP":
    case "SCTP":
      return protocol;
    case "":
      return "TCP";
    default:
      report.invalid(field, `${quote(protocol)} is not a protocol; write TCP, UDP or SCTP`);
      return "TCP";
  }
}
