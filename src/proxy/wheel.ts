/**
 * Time limits of thousands of connections with one interval. A Deadline is moved at every sign of life, so moving it
 * later is one field write; only when its old slot comes round is it looked at again and put where it belongs now.
 */

/** Slots of the wheel; a limit further away than a full turn is looked at once a turn. */
const slotCount = 1024;

export class Deadline {
  /** When it expires, in milliseconds of the wheel's clock; Infinity: disarmed. The wheel's own. */
  at = Number.POSITIVE_INFINITY;
  /** The turn at which the wheel will look at it; -1: it is in no slot. The wheel's own. */
  turn = -1;
  readonly expire: () => void;

  constructor(expire: () => void) {
    this.expire = expire;
  }

  /** Costs one write: the wheel forgets it when its slot comes round. */
  disarm(): void {
    this.at = Number.POSITIVE_INFINITY;
  }
}

/** Whoever borrows a deadline. */
export interface Borrower {
  expired(): void;
}

/**
 * A deadline that is lent to one borrower after another. A disarmed one stays in its slot until that comes round, a minute
 * perhaps: whoever lives for a millisecond must not leave one there, and himself with it.
 */
export class LentDeadline extends Deadline {
  /** The wheel's own. */
  borrower: Borrower | null = null;

  constructor() {
    super(() => this.borrower?.expired());
  }
}

export class TimingWheel {
  /** Milliseconds of the wheel's clock at its last turn. */
  now: number;
  /** Milliseconds between turns. */
  readonly tick: number;
  readonly #clock: () => number;
  readonly #slots: Set<Deadline>[] = [];
  readonly #returned: LentDeadline[] = [];
  #turn: number;

  /** `clock` gives monotonic milliseconds; the owner calls start(), or turn() every `tick` milliseconds. */
  constructor(clock: () => number, tick: number) {
    this.#clock = clock;
    this.tick = tick;
    this.now = clock();
    this.#turn = Math.floor(this.now / tick);
    for (let slot = 0; slot < slotCount; slot++) this.#slots.push(new Set());
  }

  /** Lets `deadline` expire no earlier than `ms` milliseconds from now and about two ticks later at most. Hot. */
  arm(deadline: Deadline, ms: number): void {
    const at = this.now + this.tick + ms;
    deadline.at = at;
    if (deadline.turn === -1) this.#place(deadline);
    else if (at < deadline.turn * this.tick) {
      this.#slots[deadline.turn % slotCount]?.delete(deadline);
      this.#place(deadline);
    }
  }

  /** A deadline, disarmed, to be given back by giveBack(). Hot. */
  lend(borrower: Borrower): LentDeadline {
    const deadline = this.#returned.pop() ?? new LentDeadline();
    deadline.borrower = borrower;
    return deadline;
  }

  /** The borrower has no further use for it. Hot. */
  giveBack(deadline: LentDeadline): void {
    deadline.disarm();
    deadline.borrower = null;
    this.#returned.push(deadline);
  }

  /**
   * Turns by itself from now on, without keeping the process alive for it; returns what ends that. Between the clock's step
   * and the look at what is over, what has come is read: a thread that was held up for longer than a limit finds both at
   * once, and nobody was late who is answered by then.
   */
  start(): () => void {
    const timer = setInterval(() => {
      this.now = this.#clock();
      setImmediate(() => this.#expire());
    }, this.tick).unref();
    return () => clearInterval(timer);
  }

  /** Moves the clock on and calls `expire` of every deadline that has passed. */
  turn(): void {
    this.now = this.#clock();
    this.#expire();
  }

  #expire(): void {
    const until = Math.floor(this.now / this.tick);
    // After a long stall every slot is looked at once, not once for every missed tick.
    const first = Math.max(this.#turn + 1, until - slotCount + 1);
    this.#turn = until;
    for (let turn = first; turn <= until; turn++) this.#empty(turn % slotCount);
  }

  #empty(slot: number): void {
    const due = this.#slots[slot];
    if (due === undefined || due.size === 0) return;
    // A fresh set first: what expires may arm others, or itself, into this very slot.
    this.#slots[slot] = new Set();
    for (const deadline of due) deadline.turn = -1;
    for (const deadline of due) {
      if (deadline.turn !== -1) continue;
      if (deadline.at <= this.now) deadline.expire();
      else if (deadline.at !== Number.POSITIVE_INFINITY) this.#place(deadline);
    }
  }

  #place(deadline: Deadline): void {
    const turn = Math.min(Math.max(Math.ceil(deadline.at / this.tick), this.#turn + 1), this.#turn + slotCount);
    deadline.turn = turn;
    this.#slots[turn % slotCount]?.add(deadline);
  }
}
