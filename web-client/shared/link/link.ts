// The page's connection to its room: opens a socket, says hello, receives, sends, and notices when the socket is lost.
//
// Path: `Link.start` opens a socket → hello → messages go to the client (wasm), whose answer is sent as soon as all that
// came in one go has been read. A loss goes to the reconnector (`reconnector.ts`), which has the next socket opened.
// It knows no message: bytes in, bytes out, through the page's own network conditioner (`network-conditioner.ts`).
import { CLOSE } from '../generated/protocol';
import { NetworkConditioner, type Incoming } from './network-conditioner';
import { LOST_CODE } from './reconnect-policy';
import { Reconnector, type JoinGrant, type ReconnectorOptions } from './reconnector';

/** The client that the bytes are for. */
export interface MessageClient {
  receive(bytes: Uint8Array, now: number): void;
  poll_send(now: number): Uint8Array | undefined;
}

export interface LinkOptions extends ReconnectorOptions {
  url: string;
  client: MessageClient;
  /** The room says something more often than this; after such a silence the way is dead even if nobody said so. */
  silenceMaxMs: number;
  /** The first message of a socket; the ticket is spent on it. */
  hello(ticket: string | undefined): Uint8Array;
}

/** A server that stands still takes connections and never answers them. */
const OPEN_TIMEOUT_MS = 5_000;
const SEND_INTERVAL_MS = 50;
/**
 * A poll so long after the one before comes of a page that slept, and comes before what arrived meanwhile is read. A hidden
 * tab's timers come once a second, which is less. Policy: silence counts from this poll, but only once until something is
 * received, because after a while a hidden tab's timers come once a minute, always late, and a dead way must show there too.
 */
const SLEPT_MIN_MS = 2_000;

export class Link {
  readonly conditioner: NetworkConditioner;
  private readonly reconnector: Reconnector;
  private socket: WebSocket | undefined;
  private hasOpened = false;
  private url: string;
  private receivedAt = 0;
  private polledAt: number;
  /** A silence that the page may have slept through itself is forgiven, and nothing was received since. */
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
    this.polledAt = options.now();
    this.reconnector = new Reconnector(
      { ...options, isOnline: () => options.isOnline() && !this.isCut },
      () => this.ticket !== undefined,
      (grant) => this.connect(grant),
    );
    this.conditioner = new NetworkConditioner({
      now: options.now,
      send: (bytes) => this.send(bytes),
      arrive: (incoming) => this.arrive(incoming),
      onFull: () => this.lost(LOST_CODE),
    });
    this.answer.port1.onmessage = () => {
      this.isAnswering = false;
      this.flush();
    };
    setInterval(() => this.poll(), SEND_INTERVAL_MS);
    addEventListener('online', () => this.connectNow());
  }

  /** Connects; also after it stopped, when a person wants to go on. */
  start(): void {
    this.reconnector.start();
  }

  /** The room let us in. */
  welcomed(): void {
    this.reconnector.welcomed();
  }

  /** Connected and let in: the room receives what is sent now. */
  get isWelcomed(): boolean {
    return this.socket?.readyState === WebSocket.OPEN && this.reconnector.isWelcomed;
  }

  /** Sends all that is due. */
  flush(): void {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (;;) {
      const bytes = this.options.client.poll_send(this.options.now());
      if (bytes === undefined) return;
      this.conditioner.pushOut(bytes);
    }
  }

  /** Since the last message, or since this socket was opened. */
  get silenceNowMs(): number {
    return this.options.now() - this.receivedAt;
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
    setTimeout(() => this.connectNow(), forMs);
    this.lost(LOST_CODE);
  }

  /** Ends it, as when leaving for the lobby; a page that is still here after a moment says so, and can be started again. */
  leave(): void {
    this.flush();
    this.conditioner.flush();
    this.reconnector.leave();
    this.drop();
  }

  private get isCut(): boolean {
    return this.options.now() < this.cutUntil;
  }

  private connect(grant?: JoinGrant): void {
    this.drop();
    if (grant !== undefined) ({ url: this.url, ticket: this.ticket } = grant);
    this.hasOpened = false;
    if (this.isCut) return this.lost(LOST_CODE);
    this.options.onState({ kind: 'connecting', sentence: this.reconnector.isAgain ? 'Reconnecting.' : '' });
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.noteReceived();
    const isCurrent = (): boolean => this.socket === socket;
    socket.addEventListener('open', () => {
      if (!isCurrent()) return;
      this.hasOpened = true;
      this.noteReceived();
      this.reconnector.opened();
      this.conditioner.pushOut(this.options.hello(this.ticket));
      this.ticket = undefined;
    });
    socket.addEventListener('message', (event) => {
      if (isCurrent()) this.conditioner.pushIn(event.data as ArrayBuffer | string);
    });
    socket.addEventListener('close', ({ code }) => {
      if (isCurrent()) this.conditioner.pushIn({ code });
    });
  }

  private send(bytes: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  private arrive(incoming: Incoming): void {
    if (typeof incoming === 'string') return;
    if (incoming instanceof ArrayBuffer) this.receive(incoming);
    else this.lost(incoming.code);
  }

  private receive(data: ArrayBuffer): void {
    const now = this.options.now();
    this.silenceMs = Math.max(this.silenceMs, now - this.receivedAt);
    this.noteReceived();
    try {
      this.options.client.receive(new Uint8Array(data), now);
    } catch (error) {
      console.warn('A message was not understood; connecting anew.', error);
      return this.lost(CLOSE.badMessage);
    }
    if (this.isAnswering) return;
    this.isAnswering = true;
    this.answer.port2.postMessage(null);
  }

  /** Keeps inputs and acknowledgements flowing when no frame is drawn, and notices a dead way. */
  private poll(): void {
    const now = this.options.now();
    const hasSlept = now - this.polledAt >= SLEPT_MIN_MS;
    this.polledAt = now;
    if (this.socket === undefined) return;
    this.flush();
    if (hasSlept && !this.isForgiven) [this.receivedAt, this.isForgiven] = [now, true];
    const limit = this.hasOpened ? this.options.silenceMaxMs : OPEN_TIMEOUT_MS;
    if (this.silenceNowMs > limit) this.lost(LOST_CODE, true);
  }

  private noteReceived(): void {
    [this.receivedAt, this.isForgiven] = [this.options.now(), false];
  }

  private lost(code: number, isSilent = false): void {
    this.drop();
    this.reconnector.lost({ code, hasOpened: this.hasOpened, isSilent });
  }

  /** The network is back: no need to wait out the delay. */
  private connectNow(): void {
    if (this.socket === undefined) this.reconnector.connectNow();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = undefined;
    this.conditioner.clear();
    socket?.close();
  }
}
