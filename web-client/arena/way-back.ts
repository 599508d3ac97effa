// The way back onto the field when a socket is lost: waits, asks the lobby, and knows when to leave it to a person.
//
// Path: `Link` reports how a socket ended → the policy (`reconnect.ts`) says what to do → after its delay a socket is
// opened again, or the lobby is asked for a berth first.
// Invariants: at most one timer or one errand is under way, and whoever begins another ends it; the lobby is asked at most
// `ASKS_MAX` times a minute without a person's hand. Never: bytes, a socket.
import type { Budget } from './budget';
import { afterClose, ASKED_ENOUGH, askDelayMs, ASKS_MAX, type Again, type NextStep, type Stop } from './reconnect';

export type LinkState =
  | { kind: 'connecting' | 'open'; sentence: string }
  | { kind: 'waiting'; sentence: string }
  | { kind: 'stopped'; sentence: string; again: Again };

/** Where to connect, and with what. */
export interface Berth {
  url: string;
  ticket: string;
}

/** What the lobby is asked for; rejects with an error whose message is fit to show. */
export type Ask = (signal: AbortSignal, onStage: (sentence: string) => void) => Promise<Berth>;

export interface WayBackOptions {
  hasResume(): boolean;
  /** A place from the lobby, as somebody new. */
  askTicket: Ask;
  /** The same as who one is. The field may be somewhere else by now. */
  seek(why: 'gone' | 'moved', ...ask: Parameters<Ask>): Promise<Berth>;
  /** Whether the field's server answers over plain HTTP. */
  probe(): Promise<boolean>;
  isOnline(): boolean;
  onState(state: LinkState): void;
  /** A newer version of the page is there. */
  reload(): void;
  hasReloaded: boolean;
  /** Joins of this tab by itself; `ASKS_MAX` a minute. */
  joins: Budget;
  /** Times this tab followed a moved field; `FOLLOWS_MAX` a minute. */
  follows: Budget;
  now(): number;
}

/** How a socket ended. */
export interface Loss {
  code: number;
  hasOpened: boolean;
  isSilent: boolean;
}

/** A line that held for so long is a steady one: the next loss starts with short waits again. */
const STEADY_MS = 5_000;
/**
 * A page that leaves is gone within this, as a rule; then words would only flash. Where the lobby takes longer to come, they
 * are there before the silence of the line would be told. Policy: the page says what holds, and a person may go on.
 */
const LEFT_TOLD_AFTER_MS = 400;
const LEFT: Stop = { do: 'stop', sentence: 'You left this field.', again: 'Fly here again' };

export class WayBack {
  private attempt = 0;
  private unopened = 0;
  /** Unlike `attempt` it counts on over what looks steady: a proxy may hold a socket open for long and bring nothing. */
  private unwelcomed = 0;
  private isReachable = false;
  /** Of the lobby, in a row. */
  private refusals = 0;
  private welcomedAt = Number.POSITIVE_INFINITY;
  private hasStopped = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private errand: AbortController | undefined;

  /** `connect` opens a socket, to the berth if there is one. */
  constructor(
    private readonly options: WayBackOptions,
    private readonly hasTicket: () => boolean,
    private readonly connect: (berth?: Berth) => void,
  ) {}

  get isStopped(): boolean {
    return this.hasStopped;
  }

  /** A failed attempt lies behind us. */
  get isAgain(): boolean {
    return this.attempt > 0;
  }

  /** Since the last welcome the line was not lost. */
  get isWelcomed(): boolean {
    return this.welcomedAt < Number.POSITIVE_INFINITY;
  }

  /** Begins; also when a person wants to go on after it stopped. */
  start(): void {
    if (this.hasStopped) {
      this.options.joins.clear();
      this.options.follows.clear();
      this.attempt = this.unopened = this.unwelcomed = this.refusals = 0;
    }
    this.hasStopped = false;
    this.hurry();
  }

  /** No need to wait any longer: the network is back. */
  hurry(): void {
    if (this.hasStopped) return;
    this.rest();
    if (this.hasTicket() || this.options.hasResume()) this.connect();
    else this.ask(0, this.options.askTicket);
  }

  /** A person leaves for another page, which may be slow to come, or never does. */
  leave(): void {
    this.stop();
    this.welcomedAt = Number.POSITIVE_INFINITY;
    this.timer = setTimeout(() => this.give(LEFT), LEFT_TOLD_AFTER_MS);
  }

  opened(): void {
    this.unopened = 0;
    this.isReachable = false;
  }

  /** The field let us in. */
  welcomed(): void {
    this.welcomedAt = this.options.now();
    this.unwelcomed = 0;
    this.options.onState({ kind: 'open', sentence: '' });
  }

  lost({ code, hasOpened, isSilent }: Loss): void {
    if (this.hasStopped) return;
    this.rest();
    const isOnline = this.options.isOnline();
    if (isOnline) this.count(hasOpened);
    if (this.options.now() - this.welcomedAt > STEADY_MS) this.attempt = 0;
    this.welcomedAt = Number.POSITIVE_INFINITY;
    const { attempt, unopened, unwelcomed, isReachable } = this;
    const { hasReloaded, follows } = this.options;
    const step = afterClose({ code, attempt, hasReloaded, isSilent, unopened, unwelcomed, isReachable, isOnline, follows: follows.used });
    this.attempt += 1;
    this.take(step);
  }

  private count(hasOpened: boolean): void {
    if (!hasOpened) this.unopened += 1;
    else if (!this.isWelcomed) this.unwelcomed += 1;
  }

  private take(step: NextStep): void {
    const { options } = this;
    switch (step.do) {
      case 'reload':
        return options.reload();
      case 'stop':
        return this.give(step);
      case 'probe':
        this.tell(step.sentence);
        return void this.probe();
      case 'retry':
        this.tell(step.sentence);
        this.timer = setTimeout(() => this.hurry(), step.delayMs);
        return;
      case 'ticket':
        this.tell(step.sentence);
        return this.ask(step.delayMs, options.askTicket);
      case 'seek':
        if (step.why === 'moved') options.follows.note();
        this.tell(step.sentence);
        return this.seek(step.why, step.delayMs);
    }
  }

  private seek(why: 'gone' | 'moved', delayMs: number): void {
    this.ask(delayMs, (signal, onStage) => this.options.seek(why, signal, onStage));
  }

  /** A network that lets no WebSockets through looks like a server that is gone, but for this. */
  private async probe(): Promise<void> {
    const errand = this.begin();
    const isReachable = await this.options.probe();
    if (errand.aborted) return;
    this.isReachable = isReachable;
    if (this.isReachable) this.hurry();
    else this.seek('gone', 0);
  }

  /** After the delay, and again as long as the lobby refuses. */
  private ask(delayMs: number, forBerth: Ask): void {
    if (this.options.joins.isSpent) return this.give({ do: 'stop', sentence: ASKED_ENOUGH, again: 'Try again' });
    this.timer = setTimeout(() => void this.askNow(forBerth), delayMs);
  }

  private async askNow(forBerth: Ask): Promise<void> {
    const errand = this.begin();
    this.options.joins.note();
    try {
      const berth = await forBerth(errand, (sentence) => this.tell(sentence));
      if (errand.aborted) return;
      this.refusals = 0;
      this.isReachable = false;
      this.connect(berth);
    } catch (error) {
      if (errand.aborted) return;
      this.refused((error as Error).message, forBerth);
    }
  }

  private refused(sentence: string, forBerth: Ask): void {
    this.refusals += 1;
    if (this.refusals >= ASKS_MAX || this.options.joins.isSpent) return this.give({ do: 'stop', sentence, again: 'Try again' });
    this.tell(sentence);
    this.ask(askDelayMs(this.refusals), forBerth);
  }

  private stop(): void {
    this.rest();
    this.hasStopped = true;
  }

  private give({ sentence, again }: Stop): void {
    this.stop();
    this.options.onState({ kind: 'stopped', sentence, again });
  }

  private tell(sentence: string): void {
    this.options.onState({ kind: 'waiting', sentence });
  }

  private begin(): AbortSignal {
    this.rest();
    this.errand = new AbortController();
    return this.errand.signal;
  }

  private rest(): void {
    clearTimeout(this.timer);
    this.errand?.abort();
    this.errand = undefined;
  }
}
