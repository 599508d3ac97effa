// The life of the socket: connect, hello, receive, send, and come back by itself when it is lost.
//
// Path: `Link.start` opens a socket → hello → messages go to the wire (the wasm client), whose answer goes out as soon as
// all that came in one go has been read.
// It knows no message: bytes in, bytes out, through the line that the page may impose on itself (`imposed.ts`). The policy
// of coming back is in `reconnect.ts`.
import { Imposed, type Arrival } from './imposed';
import { afterClose, SEEKS_MAX, type NextStep } from './reconnect';

/** What the link needs of the client. */
export interface Wire {
  receive(bytes: Uint8Array, now: number): void;
  poll_send(now: number): Uint8Array | undefined;
}

export type LinkState =
  | { kind: 'connecting' | 'open'; sentence: string }
  | { kind: 'waiting'; sentence: string }
  | { kind: 'stopped'; sentence: string };

/** Where to connect, and with what. */
export interface Berth {
  url: string;
  ticket: string;
}

export interface LinkOptions {
  url: string;
  wire: Wire;
  /** The first message of a socket; the ticket is spent on it. */
  hello(ticket: string | undefined): Uint8Array;
  hasResume(): boolean;
  /** A place from the lobby, as somebody new; rejects with an error whose message is fit to show. */
  askTicket(): Promise<Berth>;
  /** The same as who one is. The field may be somewhere else by now. */
  seek(why: 'gone' | 'moved'): Promise<Berth>;
  onState(state: LinkState): void;
  /** A newer version of the page is there. */
  reload(): void;
  hasReloaded: boolean;
  now(): number;
}

const CONNECT_TIMEOUT_MS = 12_000;
/** Frames come many times a second; after such a silence the way is dead even if nobody said so. */
const SILENCE_MAX_MS = 6_000;
const SEND_INTERVAL_MS = 50;
const LOST_CODE = 1006;
const WRONG_BYTES_CODE = 4003;

export class Link {
  readonly imposed: Imposed;
  private socket: WebSocket | undefined;
  private attempt = 0;
  private seeks = 0;
  private url: string;
  private isStopped = false;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private heardAt = 0;
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
    this.imposed = new Imposed({
      now: options.now,
      send: (bytes) => this.send(bytes),
      arrive: (arrival) => this.arrive(arrival),
      onFull: () => this.lost(LOST_CODE, ''),
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
    if (this.isStopped) this.seeks = 0;
    this.isStopped = false;
    clearTimeout(this.retryTimer);
    if (this.ticket === undefined && !this.options.hasResume()) void this.fetchTicket();
    else this.connect();
  }

  /** The field let us in: the next loss starts with short waits again. */
  welcomed(): void {
    this.attempt = 0;
    this.seeks = 0;
    this.options.onState({ kind: 'open', sentence: '' });
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
    this.lost(LOST_CODE, '');
  }

  /** Ends it for good, as when leaving for the lobby. */
  leave(): void {
    this.flush();
    this.imposed.hurry();
    this.isStopped = true;
    this.drop();
  }

  private connect(): void {
    this.drop();
    if (this.options.now() < this.cutUntil) return this.lost(LOST_CODE, '');
    this.options.onState({ kind: 'connecting', sentence: this.attempt === 0 ? '' : 'Reconnecting.' });
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardAt = this.options.now();
    const isCurrent = (): boolean => this.socket === socket;
    socket.addEventListener('open', () => {
      if (!isCurrent()) return;
      this.imposed.carryOut(this.options.hello(this.ticket));
      this.ticket = undefined;
    });
    socket.addEventListener('message', (event) => {
      if (isCurrent()) this.imposed.carryIn(event.data as ArrayBuffer | string);
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (isCurrent()) this.imposed.carryIn({ code, reason });
    });
  }

  private send(bytes: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  private arrive(arrival: Arrival): void {
    if (typeof arrival === 'string') return;
    if (arrival instanceof ArrayBuffer) this.receive(arrival);
    else this.lost(arrival.code, arrival.reason);
  }

  private receive(data: ArrayBuffer): void {
    const now = this.options.now();
    this.silenceMs = Math.max(this.silenceMs, now - this.heardAt);
    this.heardAt = now;
    try {
      this.options.wire.receive(new Uint8Array(data), now);
    } catch (error) {
      console.warn('A message was not understood; connecting anew.', error);
      return this.lost(WRONG_BYTES_CODE, '');
    }
    if (this.isAnswering) return;
    this.isAnswering = true;
    this.answer.port2.postMessage(null);
  }

  /** Keeps inputs and acknowledgements flowing when no frame is drawn, and notices a dead way. */
  private beat(): void {
    const socket = this.socket;
    if (socket === undefined) return;
    this.flush();
    const limit = socket.readyState === WebSocket.OPEN ? SILENCE_MAX_MS : CONNECT_TIMEOUT_MS;
    if (this.silenceNowMs > limit) this.lost(LOST_CODE, '');
  }

  private lost(code: number, reason: string): void {
    this.drop();
    if (this.isStopped) return;
    const step = afterClose({ code, reason, attempt: this.attempt, hasReloaded: this.options.hasReloaded });
    this.attempt += 1;
    this.take(step);
  }

  private take(step: NextStep): void {
    switch (step.do) {
      case 'reload':
        return this.options.reload();
      case 'stop':
        this.isStopped = true;
        return this.options.onState({ kind: 'stopped', sentence: step.sentence });
      case 'ticket':
        this.options.onState({ kind: 'waiting', sentence: step.sentence });
        this.retryTimer = setTimeout(() => void this.fetchTicket(), step.delayMs);
        return;
      case 'seek':
        this.options.onState({ kind: 'waiting', sentence: step.sentence });
        this.retryTimer = setTimeout(() => void this.seek(step.why), step.delayMs);
        return;
      case 'retry':
        this.options.onState({ kind: 'waiting', sentence: step.sentence });
        this.retryTimer = setTimeout(() => this.start(), step.delayMs);
    }
  }

  private async fetchTicket(): Promise<void> {
    try {
      this.moor(await this.options.askTicket());
    } catch (error) {
      const step = afterClose({ code: LOST_CODE, reason: '', attempt: this.attempt, hasReloaded: true });
      this.attempt += 1;
      if ('delayMs' in step) this.take({ do: 'ticket', delayMs: step.delayMs, sentence: (error as Error).message });
    }
  }

  private async seek(why: 'gone' | 'moved'): Promise<void> {
    this.seeks += 1;
    try {
      this.moor(await this.options.seek(why));
    } catch (error) {
      if (this.isStopped) return;
      const sentence = (error as Error).message;
      if (this.seeks >= SEEKS_MAX) return this.take({ do: 'stop', sentence });
      const step = afterClose({ code: LOST_CODE, reason: '', attempt: this.attempt, hasReloaded: true });
      this.attempt += 1;
      if ('delayMs' in step) this.take({ do: 'seek', why, delayMs: step.delayMs, sentence });
    }
  }

  private moor({ url, ticket }: Berth): void {
    this.url = url;
    this.ticket = ticket;
    if (!this.isStopped) this.connect();
  }

  /** The network is back: no need to wait out the delay. */
  private hurry(): void {
    if (this.socket !== undefined || this.isStopped) return;
    this.start();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = undefined;
    this.imposed.clear();
    socket?.close();
  }
}
