/** A client's connection of which something was read before it was known who is to read it. */
import type { Take } from "../../proxy/socket/read-buffer.ts";
import type { ClientSource } from "../client/connection-host.ts";

/** The source, and begin(), which gives `early` to whoever listens to it by then. Nothing may be read before that. */
export function withEarly(
  source: ClientSource,
  early: Buffer,
): { readonly source: ClientSource; readonly begin: () => void } {
  const { socket, listen } = source;
  if (listen === undefined) {
    socket.unshift(early);
    return { source, begin: () => {} };
  }
  let listening: Take | null = null;
  const listenToo = (take: Take): void => {
    listening = take;
    listen(take);
  };
  return { source: { socket, listen: listenToo }, begin: () => void listening?.(early) };
}
