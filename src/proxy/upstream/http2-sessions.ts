/**
 * HTTP/2 connections to one endpoint: few, each carrying many requests. A new one is opened when the others are full; one
 * that the endpoint says good-bye on finishes what it has and takes nothing new.
 */
import { type Siblings, streamsAtMost, UpstreamSession } from "./http2-session.ts";
import type { LiveEndpoint } from "./live-endpoint.ts";
import { samePreface } from "./preface.ts";

export class Http2Sessions implements Siblings {
  readonly #pool: LiveEndpoint;
  /** Those that may take requests, the oldest first: so that the youngest become idle when there is less to do. */
  readonly #sessions: UpstreamSession[] = [];
  /** What the endpoint allows, as it last said: a new connection learns it too late for the requests that wait for it. */
  #allowed = streamsAtMost;

  constructor(pool: LiveEndpoint) {
    this.#pool = pool;
  }

  /**
   * A connection with room for one more request, new where there is none; `connectTimeout` in milliseconds. `preface`: what
   * a new one begins with, as each that is given has. Hot.
   */
  take(connectTimeout: number, preface: Buffer | null): UpstreamSession {
    const sessions = this.#sessions;
    for (let index = 0; index < sessions.length; index++) {
      const session = sessions[index] as UpstreamSession;
      if (session.streams < this.#allowed && samePreface(session.preface, preface)) return session;
    }
    const session = new UpstreamSession(this.#pool, connectTimeout, this, preface);
    sessions.push(session);
    return session;
  }

  /** The endpoint has said how many streams it allows. One that allows none for now is asked all the same, and refuses. */
  allow(streams: number): void {
    this.#allowed = Math.max(1, Math.min(streams, streamsAtMost));
  }

  /** The session takes no more requests. */
  leave(session: UpstreamSession): void {
    const index = this.#sessions.indexOf(session);
    if (index !== -1) this.#sessions.splice(index, 1);
  }

  /** Lets requests under way finish, and takes no more. */
  close(): void {
    for (const session of [...this.#sessions]) session.retire();
  }
}
