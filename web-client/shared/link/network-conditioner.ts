// A worse network that a page may try on its own socket, both ways: latency, jitter, bandwidth, stalls.
//
// Path: `Link` hands every message to `pushOut` or `pushIn` → untouched while no condition is set, else through a
// `DelayedQueue` each → `send` and `arrive`. The socket's end travels behind the last message, as in TCP.
import { DelayedQueue, type NetworkConditions } from './delayed-queue';

/** The socket's end, as the other side told it. */
export interface SocketEnd {
  code: number;
}

export type Incoming = ArrayBuffer | string | SocketEnd;

export interface NetworkConditionerOptions {
  now(): number;
  send(bytes: Uint8Array): void;
  arrive(incoming: Incoming): void;
  /** More is under way than a queue may hold. */
  onFull(): void;
}

/** What the end of a socket weighs; nothing that would show. */
const SOCKET_END_BYTES = 2;

export class NetworkConditioner {
  readonly conditions: NetworkConditions = { latencyMs: 0, jitterMs: 0, bytesPerSecond: 0 };
  private readonly out = new DelayedQueue<Uint8Array>(this.conditions);
  private readonly in = new DelayedQueue<Incoming>(this.conditions);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wakesAt = Number.POSITIVE_INFINITY;

  constructor(private readonly options: NetworkConditionerOptions) {}

  pushOut(bytes: Uint8Array): void {
    const now = this.options.now();
    if (this.out.isOpen(now)) this.options.send(bytes);
    else if (this.out.isFull) this.options.onFull();
    else {
      this.out.push(bytes, bytes.length, now);
      this.setAlarm(now);
    }
  }

  pushIn(incoming: Incoming): void {
    const now = this.options.now();
    if (this.in.isOpen(now)) this.options.arrive(incoming);
    else if (this.in.isFull) this.options.onFull();
    else {
      this.in.push(incoming, bytesOf(incoming), now);
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
  flush(): void {
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
    for (let incoming = this.in.poll(now); incoming !== undefined; incoming = this.in.poll(now)) this.options.arrive(incoming);
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

function bytesOf(incoming: Incoming): number {
  if (typeof incoming === 'string') return incoming.length;
  return incoming instanceof ArrayBuffer ? incoming.byteLength : SOCKET_END_BYTES;
}
