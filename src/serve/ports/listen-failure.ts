/** Why a port of ours cannot be listened on, for whoever started Sluice: which, what is wrong, and what to do. */

/** What node:net tells of it. */
export interface ListenError extends Error {
  /** Such as EADDRINUSE. */
  readonly code?: string;
  /** What was asked for; absent where the error is of something else. */
  readonly address?: string;
  /** Absent where any would have done. */
  readonly port?: number;
}

/** The flags that say where to listen. */
export interface ListenFlags {
  readonly port: string;
  readonly address: string;
}

export function listenFailure(error: ListenError, flags: ListenFlags): string {
  const { code = "", address, port } = error;
  if (address === undefined) return error.message;
  const host = address.includes(":") ? `[${address}]` : address;
  const place = port === undefined ? host : `${host}:${port}`;
  return `cannot listen on ${place} (${code}): ${reason(code, flags)}`;
}

/** Of the ports for HTTP and HTTPS. */
export function placeFailure(error: ListenError, { http }: { readonly http: number }): string {
  return listenFailure(error, {
    port: error.port === http ? "--http-port" : "--https-port",
    address: "--bind-address",
  });
}

function reason(code: string, { port, address }: ListenFlags): string {
  switch (code) {
    case "EADDRINUSE":
      return `something else on this machine has the port; choose another by ${port}, or end what has it`;
    case "EACCES":
      return `this process may not have the port; choose one above 1023 by ${port}, or give it the capability NET_BIND_SERVICE`;
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return `this machine has no such address; correct ${address}`;
    default:
      return `choose another place by ${port} and ${address}`;
  }
}
