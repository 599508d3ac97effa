// The bad line that a page may impose on its own socket, both ways; set in the network panel.
//
// Path: `Link` hands every message to `carryOut` or `carryIn` → untouched while nothing is imposed, else through a
// `Line` each → `send` and `arrive`. The socket's end travels behind the last message, as in TCP.
import { Line, type Conditions } from './line';

/** The socket's end, as the other side told it. */
export interface End {
  code: number;
}

export type Arrival = ArrayBuffer | string | End;

export interface ImposedOptions {
  now(): number;
  send(bytes: Uint8Array): void;
  arrive(arrival: Arrival): void;
  /** More is under way than a line may hold. */
  onFull(): void;
}

/** What the end of a socket weighs; nothing that would show. */
const END_BYTES = 2;

export class Imposed {
  readonly conditions: Conditions = { latencyMs: 0, jitterMs: 0, bytesPerSecond: 0 };
  private readonly out = new Line<Uint8Array>(this.conditions);
  private readonly in = new Line<Arrival>(this.conditions);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wakesAt = Number.POSITIVE_INFINITY;

  constructor(private readonly options: ImposedOptions) {}

  carryOut(bytes: Uint8Array): void {
    const now = this.options.now();
    if (this.out.isOpen(now)) this.options.send(bytes);
    else if (this.out.isFull) this.options.onFull();
    else {
      this.out.push(bytes, bytes.length, now);
      this.setAlarm(now);
    }
  }

  carryIn(arrival: Arrival): void {
    const now = this.options.now();
    if (this.in.isOpen(now)) this.options.arrive(arrival);
    else if (this.in.isFull) this.options.onFull();
    else {
      this.in.push(arrival, bytesOf(arrival), now);
      this.setAlarm(now);
    }
  }

  /** Both ways stand still for so long. */
  stall(forMs: number): void {
    const now = this.options.now();
    this.out.stall(forMs, now);
    this.in.stall(forMs, now);
  }

  /** The page leaves: what is still to go out goes now, because nobody will be here later. */
  hurry(): void {
    this.sendUntil(Number.POSITIVE_INFINITY);
  }

  /** The socket is gone, and with it what was under way. */
  clear(): void {
    this.out.clear();
    this.in.clear();
    this.sleep();
  }

  /** Hands over what has arrived. Only the alarm calls it, so that an answer to a message never nests in its delivery. */
  private deliver(): void {
    this.sleep();
    const now = this.options.now();
    this.sendUntil(now);
    for (let arrival = this.in.poll(now); arrival !== undefined; arrival = this.in.poll(now)) this.options.arrive(arrival);
    this.setAlarm(now);
  }

  private setAlarm(now: number): void {
    const nextAt = Math.min(this.out.nextAt, this.in.nextAt);
    if (nextAt >= this.wakesAt) return;
    this.sleep();
    this.wakesAt = nextAt;
    this.timer = setTimeout(() => this.deliver(), Math.ceil(nextAt - now));
  }

  private sendUntil(now: number): void {
    for (let bytes = this.out.poll(now); bytes !== undefined; bytes = this.out.poll(now)) this.options.send(bytes);
  }

  private sleep(): void {
    clearTimeout(this.timer);
    this.wakesAt = Number.POSITIVE_INFINITY;
  }
}

function bytesOf(arrival: Arrival): number {
  if (typeof arrival === 'string') return arrival.length;
  return arrival instanceof ArrayBuffer ? arrival.byteLength : END_BYTES;
}
