/** What an entry of TCP or UDP services leads to, as ingress-nginx writes it: `namespace/service:port[:PROXY][:PROXY]`. */
import { quote } from "../features/feature.ts";
import type { StreamService } from "../model/snapshot.ts";
import type { Mistake } from "./mistake.ts";

export type StreamTarget = Pick<StreamService, "service" | "proxyProtocol">;

const label = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?";
/** A number, or the name of a port, which has a letter. */
const port = "[1-9][0-9]{0,4}|(?=[-a-z0-9]{0,14}[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?";
const form = new RegExp(`^(${label})/(${label}):(${port})(?::(PROXY)?)?(?::(PROXY)?)?$`, "i");

/** The first PROXY is of the client, the second of the endpoint; either may be left empty. */
export function readStreamTarget(value: string, protocol: StreamService["protocol"]): StreamTarget | Mistake {
  const text = value.trim();
  const [, namespace = "", name = "", written = "", accept, send] = form.exec(text) ?? [];
  // The form is read whatever the case of PROXY; names have no capitals.
  if (namespace === "" || /[A-Z]/.test(namespace + name + written)) return malformed(text, protocol);
  if (/^[0-9]+$/.test(written) && Number(written) > 65_535) return malformed(text, protocol);
  const proxyProtocol = { accept: accept !== undefined, send: send !== undefined };
  if (protocol === "udp" && (proxyProtocol.accept || proxyProtocol.send)) {
    const message = `${quote(text)} asks for the PROXY protocol, which is for TCP services alone; remove ":PROXY"`;
    return { code: "InvalidStream", message };
  }
  return { service: { namespace, name, port: written }, proxyProtocol };
}

function malformed(text: string, protocol: StreamService["protocol"]): Mistake {
  const options = protocol === "tcp" ? ', with ":PROXY" behind it for a PROXY header from clients' : "";
  const example = protocol === "tcp" ? "shop/db:5432" : "kube-system/kube-dns:53";
  const message = `${quote(text)} is not understood; write namespace/service:port, such as ${example}${options}`;
  return { code: "InvalidStream", message };
}
