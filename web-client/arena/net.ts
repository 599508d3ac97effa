// The life of the socket: connect, hello, receive, send, and notice when it is lost.
//
// Path: `Link.start` opens a socket → hello → messages go to the wire (the wasm client), whose answer goes out as soon as
// all that came in one go has been read. A loss goes to the way back (`way-back.ts`), which has the next socket opened.
// It knows no message: bytes in, bytes out, through the line that the page may impose on itself (`imposed.ts`).
import { Imposed, type Arrival } from './imposed';
import { CLOSE, LOST_CODE } from './reconnect';
import { WayBack, type Berth, type WayBackOptions } from './way-back';

/** What the link needs of the client. */
export interface Wire {
  receive(bytes: Uint8Array, now: number): void;
  poll_send(now: number): Uint8Array | undefined;
}

export interface LinkOptions extends WayBackOptions {
  url: string;
  wire: Wire;
  /** The first message of a socket; the ticket is spent on it. */
  hello(ticket: string | undefined): Uint8Array;
}

/** A server that stands still takes connections and never answers them. */
const OPEN_TIMEOUT_MS = 5_000;
/** Frames come many times a second; after such a silence the way is dead even if nobody said so. */
const SILENCE_MAX_MS = 6_000;
const SEND_INTERVAL_MS = 50;
/**
 * A beat so long after the one before comes of a page that slept, and comes before what arrived meanwhile is read. A hidden
 * tab's timers come once a second, which is less. Policy: silence counts from this beat, but only once until something is
 * heard, because after a while a hidden tab's timers come once a minute, always late, and a dead way must show there too.
 */
const SLEPT_MIN_MS = 2_000;

export class Link {
  readonly imposed: Imposed;
  private readonly back: WayBack;
  private socket: WebSocket | undefined;
  private hasOpened = false;
  private url: string;
  private heardAt = 0;
  private beatAt: number;
  /** A silence that the page may have slept through itself is forgiven, and nothing was heard since. */
  private isForgiven = false;
  private silenceMs = 0;
  private cutUntil = Number.NEGATIVE_INFINITY;
  /** A message to ourselves queues behind those that have come; unlike a timer, it is not throttled in a hidden tab. */
  private readonly answer = new MessageChannel();
  private isAnswering = false;

  constructor(
    private readonly options: LinkOptions,
    private ticket: string | undefined,
  ) {
    this.url = options.url;
    this.beatAt = options.now();
    this.back = new WayBack(
      { ...options, isOnline: () => options.isOnline() && !this.isCut },
      () => this.ticket !== undefined,
      (berth) => this.connect(berth),
    );
    this.imposed = new Imposed({
      now: options.now,
      send: (bytes) => this.send(bytes),
      arrive: (arrival) => this.arrive(arrival),
      onFull: () => this.lost(LOST_CODE),
    });
    this.answer.port1.onmessage = () => {
      this.isAnswering = false;
      this.flush();
    };
    setInterval(() => this.beat(), SEND_INTERVAL_MS);
    addEventListener('online', () => this.hurry());
  }

  /** Connects; also the way back after it stopped. */
  start(): void {
    this.back.start();
  }

  /** The field let us in. */
  welcomed(): void {
    this.back.welcomed();
  }

  /** The field hears what is said now. */
  get isHeard(): boolean {
    return this.socket?.readyState === WebSocket.OPEN && this.back.isWelcomed;
  }

  /** Sends all that is due. */
  flush(): void {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (;;) {
      const bytes = this.options.wire.poll_send(this.options.now());
      if (bytes === undefined) return;
      this.imposed.carryOut(bytes);
    }
  }

  /** Since the last message, or since this socket was opened. */
  get silenceNowMs(): number {
    return this.options.now() - this.heardAt;
  }

  /** The longest silence since this was last asked, the one going on included. */
  takeSilence(): number {
    const longest = Math.max(this.silenceMs, this.silenceNowMs);
    this.silenceMs = 0;
    return longest;
  }

  /** As if there were no network for so long; then it tells the browser that it is back. */
  cut(forMs: number): void {
    this.cutUntil = this.options.now() + forMs;
    setTimeout(() => this.hurry(), forMs);
    this.lost(LOST_CODE);
  }

  /** Ends it, as when leaving for the lobby; a page that is still here after a moment says so, and can be started again. */
  leave(): void {
    this.flush();
    this.imposed.hurry();
    this.back.leave();
    this.drop();
  }

  private get isCut(): boolean {
    return this.options.now() < this.cutUntil;
  }

  private connect(berth?: Berth): void {
    this.drop();
    if (berth !== undefined) ({ url: this.url, ticket: this.ticket } = berth);
    this.hasOpened = false;
    if (this.isCut) return this.lost(LOST_CODE);
    this.options.onState({ kind: 'connecting', sentence: this.back.isAgain ? 'Reconnecting.' : '' });
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.hear();
    const isCurrent = (): boolean => this.socket === socket;
    socket.addEventListener('open', () => {
      if (!isCurrent()) return;
      this.hasOpened = true;
      this.hear();
      this.back.opened();
      this.imposed.carryOut(this.options.hello(this.ticket));
      this.ticket = undefined;
    });
    socket.addEventListener('message', (event) => {
      if (isCurrent()) this.imposed.carryIn(event.data as ArrayBuffer | string);
    });
    socket.addEventListener('close', ({ code }) => {
      if (isCurrent()) this.imposed.carryIn({ code });
    });
  }

  private send(bytes: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  private arrive(arrival: Arrival): void {
    if (typeof arrival === 'string') return;
    if (arrival instanceof ArrayBuffer) this.receive(arrival);
    else this.lost(arrival.code);
  }

  private receive(data: ArrayBuffer): void {
    const now = this.options.now();
    this.silenceMs = Math.max(this.silenceMs, now - this.heardAt);
    this.hear();
    try {
      this.options.wire.receive(new Uint8Array(data), now);
    } catch (error) {
      console.warn('A message was not understood; connecting anew.', error);
      return this.lost(CLOSE.badMessage);
    }
    if (this.isAnswering) return;
    this.isAnswering = true;
    this.answer.port2.postMessage(null);
  }

  /** Keeps inputs and acknowledgements flowing when no frame is drawn, and notices a dead way. */
  private beat(): void {
    const now = this.options.now();
    const hasSlept = now - this.beatAt >= SLEPT_MIN_MS;
    this.beatAt = now;
    if (this.socket === undefined) return;
    this.flush();
    if (hasSlept && !this.isForgiven) [this.heardAt, this.isForgiven] = [now, true];
    const limit = this.hasOpened ? SILENCE_MAX_MS : OPEN_TIMEOUT_MS;
    if (this.silenceNowMs > limit) this.lost(LOST_CODE, true);
  }

  private hear(): void {
    [this.heardAt, this.isForgiven] = [this.options.now(), false];
  }

  private lost(code: number, isSilent = false): void {
    this.drop();
    this.back.lost({ code, hasOpened: this.hasOpened, isSilent });
  }

  /** The network is back: no need to wait out the delay. */
  private hurry(): void {
    if (this.socket === undefined) this.back.hurry();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = undefined;
    this.imposed.clear();
    socket?.close();
  }
}
