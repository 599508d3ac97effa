// One direction of a conditioned network: a queue that delays messages, keeps their order and loses none, as TCP does.
// What is late holds back all that follows it.
//
// Path: `push` puts a message in, `poll` takes out what has arrived. Pure: time is an argument, in milliseconds of any
// one origin. Never: a socket, a timer (both in `network-conditioner.ts`).

/** How much worse the network is made, each way. All zero: as it is. */
export interface NetworkConditions {
  latencyMs: number;
  /** Every message is later by up to this, drawn evenly. */
  jitterMs: number;
  /** 0: as wide as it is. */
  bytesPerSecond: number;
}

/** Twice this is worse than the far side of the world. */
export const LATENCY_MAX_MS = 300;
export const JITTER_MAX_MS = 50;
/** From as wide as it is down to less than the game needs in a crowd. */
export const BANDWIDTHS_BYTES_PER_SECOND = [0, 32_000, 16_000, 8_000, 4_000, 2_000] as const;
/** Messages under way at most. Policy: the connection counts as dead, as a real one would long before. */
export const BACKLOG_MAX_MESSAGES = 4_096;

export function isUntouched({ latencyMs, jitterMs, bytesPerSecond }: Readonly<NetworkConditions>): boolean {
  return latencyMs === 0 && jitterMs === 0 && bytesPerSecond === 0;
}

interface Delayed<T> {
  item: T;
  arrivesAt: number;
}

export class DelayedQueue<T> {
  private readonly queue: Delayed<T>[] = [];
  /** When the narrowest part will have let everything through. */
  private freeAt = Number.NEGATIVE_INFINITY;
  private stalledUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly conditions: Readonly<NetworkConditions>,
    private readonly random: () => number = Math.random,
  ) {}

  /** No condition is set and nothing is under way: what comes may pass untouched. */
  isOpen(now: number): boolean {
    return this.queue.length === 0 && now >= this.stalledUntil && isUntouched(this.conditions);
  }

  get isFull(): boolean {
    return this.queue.length >= BACKLOG_MAX_MESSAGES;
  }

  /** When the next message arrives; infinite if none is under way. */
  get nextAt(): number {
    const first = this.queue[0];
    return first === undefined ? Number.POSITIVE_INFINITY : Math.max(first.arrivesAt, this.stalledUntil);
  }

  push(item: T, bytes: number, now: number): void {
    const { latencyMs, jitterMs, bytesPerSecond } = this.conditions;
    this.freeAt = Math.max(this.freeAt, now) + (bytesPerSecond > 0 ? (bytes * 1000) / bytesPerSecond : 0);
    const ahead = this.queue.at(-1)?.arrivesAt ?? Number.NEGATIVE_INFINITY;
    this.queue.push({ item, arrivesAt: Math.max(ahead, this.freeAt + latencyMs + jitterMs * this.random()) });
  }

  /** The next message that has arrived. */
  poll(now: number): T | undefined {
    return this.nextAt <= now ? this.queue.shift()?.item : undefined;
  }

  /** Nothing arrives for so long; then all of it at once. */
  stall(forMs: number, now: number): void {
    this.stalledUntil = Math.max(this.stalledUntil, now + forMs);
  }

  /** A new socket: what was under way on the old one is gone with it. */
  clear(): void {
    this.queue.length = 0;
    this.freeAt = this.stalledUntil = Number.NEGATIVE_INFINITY;
  }
}
