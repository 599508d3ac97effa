// Reconnects when a socket is lost: waits, asks the lobby, and stops where a person has to decide.
//
// Path: `Link` reports how a socket ended → the policy (`reconnect-policy.ts`) says what to do → after its delay a socket
// is opened again, or the lobby is asked for a grant first.
// Invariants: at most one timer or one request is under way, and beginning another ends it; the lobby is asked at most
// `ASKS_MAX` times a minute without a person's hand. Never: bytes, a socket.
import { CLOSE } from '../generated/protocol';
import type { Budget } from './budget';
import { afterClose, askDelayMs, ASKS_MAX, type NextStep } from './reconnect-policy';
import { WORDS } from './words';

export type LinkState =
  | { kind: 'connecting' | 'open'; sentence: string }
  | { kind: 'waiting'; sentence: string }
  | { kind: 'stopped'; sentence: string; again: string };

/** The lobby lets us in: where to connect, and with which ticket. */
export interface JoinGrant {
  url: string;
  ticket: string;
}

/** What the lobby is asked for; rejects with an error whose message is fit to show. */
export type Ask = (signal: AbortSignal, onStage: (sentence: string) => void) => Promise<JoinGrant>;

export interface ReconnectorOptions {
  hasResume(): boolean;
  /** Asks to be let in as somebody new. */
  askTicket: Ask;
  /** Asks where the room is now, to come back as the same member. */
  relocate(why: 'gone' | 'moved', ...ask: Parameters<Ask>): Promise<JoinGrant>;
  /** Whether the room's server answers over plain HTTP. */
  probe(): Promise<boolean>;
  isOnline(): boolean;
  onState(state: LinkState): void;
  /** Page and room are of different versions, and a page that is loaded again may match. */
  reload(): void;
  /** This page is one that was. */
  hasReloaded: boolean;
  /** Joins of this tab by itself; `ASKS_MAX` a minute. */
  joins: Budget;
  /** Times this tab followed a moved room; `FOLLOWS_MAX` a minute. */
  follows: Budget;
  now(): number;
}

/** How a socket ended. */
export interface Loss {
  code: number;
  hasOpened: boolean;
  isSilent: boolean;
}

/** A connection that held for so long is a steady one: the next loss starts with short waits again. */
const STEADY_MS = 5_000;
/**
 * A page that leaves is gone within this, as a rule; then words would only flash. Where the lobby takes longer to come, they
 * are there before the silence of the connection would be told. Policy: the page says what holds, and a person may go on.
 */
const LEFT_TOLD_AFTER_MS = 400;

export class Reconnector {
  private attempt = 0;
  private unopened = 0;
  /** Unlike `attempt` it counts on over what looks steady: a proxy may hold a socket open for long and bring nothing. */
  private unwelcomed = 0;
  private isReachable = false;
  private misunderstood = 0;
  /** For another version. */
  private hasReloaded: boolean;
  /** Of the lobby, in a row. */
  private refusals = 0;
  private welcomedAt = Number.POSITIVE_INFINITY;
  private hasStopped = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private request: AbortController | undefined;

  /** `connect` opens a socket, to the grant if there is one. */
  constructor(
    private readonly options: ReconnectorOptions,
    private readonly hasTicket: () => boolean,
    private readonly connect: (grant?: JoinGrant) => void,
  ) {
    this.hasReloaded = options.hasReloaded;
  }

  /** A failed attempt lies behind us. */
  get isAgain(): boolean {
    return this.attempt > 0;
  }

  /** Since the last welcome the connection was not lost. */
  get isWelcomed(): boolean {
    return this.welcomedAt < Number.POSITIVE_INFINITY;
  }

  /** Begins; also when a person wants to go on after it stopped. */
  start(): void {
    if (this.hasStopped) {
      this.options.joins.clear();
      this.options.follows.clear();
      this.attempt = this.misunderstood = this.unopened = this.unwelcomed = this.refusals = 0;
    }
    this.hasStopped = false;
    this.connectNow();
  }

  /** No need to wait any longer: the network is back. */
  connectNow(): void {
    if (this.hasStopped) return;
    this.cancelPending();
    if (this.hasTicket() || this.options.hasResume()) this.connect();
    else this.ask(0, this.options.askTicket);
  }

  /** A person leaves for another page, which may be slow to come, or never does. */
  leave(): void {
    this.stop();
    this.welcomedAt = Number.POSITIVE_INFINITY;
    this.timer = setTimeout(() => this.stopWith(WORDS.left, WORDS.comeBack), LEFT_TOLD_AFTER_MS);
  }

  opened(): void {
    this.unopened = 0;
    this.isReachable = false;
  }

  /** The room let us in. */
  welcomed(): void {
    this.welcomedAt = this.options.now();
    this.unwelcomed = 0;
    this.options.onState({ kind: 'open', sentence: '' });
  }

  lost({ code, hasOpened, isSilent }: Loss): void {
    if (this.hasStopped) return;
    this.cancelPending();
    const isOnline = this.options.isOnline();
    if (isOnline) this.count(hasOpened);
    if (this.options.now() - this.welcomedAt > STEADY_MS) this.wasSteady();
    this.welcomedAt = Number.POSITIVE_INFINITY;
    if (code === CLOSE.badMessage) this.misunderstood += 1;
    const { attempt, hasReloaded, misunderstood, unopened, unwelcomed, isReachable } = this;
    const follows = this.options.follows.used;
    const situation = { code, attempt, hasReloaded, misunderstood, isSilent, unopened, unwelcomed, isReachable, isOnline, follows };
    this.attempt += 1;
    this.run(afterClose(situation));
  }

  /** So much came and went over it that both ends understand each other; what was before counts no more. */
  private wasSteady(): void {
    this.attempt = this.misunderstood = 0;
    this.hasReloaded = false;
  }

  private count(hasOpened: boolean): void {
    if (!hasOpened) this.unopened += 1;
    else if (!this.isWelcomed) this.unwelcomed += 1;
  }

  private run(step: NextStep): void {
    const { options } = this;
    switch (step.do) {
      case 'reload':
        return options.reload();
      case 'stop':
        return this.stopWith(step.sentence, step.again);
      case 'probe':
        this.tell(step.sentence);
        return void this.probe();
      case 'retry':
        this.tell(step.sentence);
        this.timer = setTimeout(() => this.connectNow(), step.delayMs);
        return;
      case 'ticket':
        this.tell(step.sentence);
        return this.ask(step.delayMs, options.askTicket);
      case 'relocate':
        if (step.why === 'moved') options.follows.note();
        this.tell(step.sentence);
        return this.relocate(step.why, step.delayMs);
    }
  }

  private relocate(why: 'gone' | 'moved', delayMs: number): void {
    this.ask(delayMs, (signal, onStage) => this.options.relocate(why, signal, onStage));
  }

  /** A network that lets no WebSockets through looks like a server that is gone, but for this. */
  private async probe(): Promise<void> {
    const request = this.beginRequest();
    const isReachable = await this.options.probe();
    if (request.aborted) return;
    this.isReachable = isReachable;
    if (this.isReachable) this.connectNow();
    else this.relocate('gone', 0);
  }

  /** After the delay, and again as long as the lobby refuses. */
  private ask(delayMs: number, requestGrant: Ask): void {
    if (this.options.joins.isSpent) return this.stopWith(WORDS.gaveUp, WORDS.tryAgain);
    this.timer = setTimeout(() => void this.askNow(requestGrant), delayMs);
  }

  private async askNow(requestGrant: Ask): Promise<void> {
    const request = this.beginRequest();
    this.options.joins.note();
    try {
      const grant = await requestGrant(request, (sentence) => this.tell(sentence));
      if (request.aborted) return;
      this.refusals = 0;
      this.isReachable = false;
      this.connect(grant);
    } catch (error) {
      if (request.aborted) return;
      this.refused((error as Error).message, requestGrant);
    }
  }

  private refused(sentence: string, requestGrant: Ask): void {
    this.refusals += 1;
    if (this.refusals >= ASKS_MAX || this.options.joins.isSpent) return this.stopWith(sentence, WORDS.tryAgain);
    this.tell(sentence);
    this.ask(askDelayMs(this.refusals), requestGrant);
  }

  private stop(): void {
    this.cancelPending();
    this.hasStopped = true;
  }

  private stopWith(sentence: string, again: string): void {
    this.stop();
    this.options.onState({ kind: 'stopped', sentence, again });
  }

  private tell(sentence: string): void {
    this.options.onState({ kind: 'waiting', sentence });
  }

  private beginRequest(): AbortSignal {
    this.cancelPending();
    this.request = new AbortController();
    return this.request.signal;
  }

  private cancelPending(): void {
    clearTimeout(this.timer);
    this.request?.abort();
    this.request = undefined;
  }
}
