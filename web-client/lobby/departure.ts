// Leaving for a room: asks the lobby to let us in and says in words what it is doing, until the page goes there.
//
// A refusal is told in one sentence; if another region would take us, a button offers it and nothing else happens.
import { byId, prefersReducedMotion, setText } from '../shared/dom';
import { join, JoinError, type JoinRequest, type JoinStage, type Offer } from '../shared/join';
import { arrivalFragment, type Me } from '../shared/me';
import { latencyText, seconds, type Region } from './regions';

/** The stage's word on the button; stages that take a moment only have none of their own. */
const BUTTON_WORDS: Record<string, string> = { asking: 'Asking Fly', creating: 'Asking Fly', waiting: 'Asking again', booting: 'Booting', another: 'Trying next' };

/** A way to stay is offered at the latest after this, whatever comes. */
const STOP_SHOWN_AFTER_MS = 2_000;
/** A room's page comes at once, or one that says why not; after so long without either, we are still here. */
const PAGE_TIMEOUT_MS = 20_000;

/** To take part in a region's public room, in a private one of our own, or only to look on. */
export type Way = 'public' | 'private' | 'watch';

export interface DepartureOptions {
  readonly me: Me;
  readonly storeLasts: boolean;
  /** A machine is being woken there. */
  onStage(region: string): void;
  /** We did not leave after all. */
  onStay(): void;
  /** The region that was offered is taken. */
  onAccept(region: string): void;
}

export class Departure {
  private readonly button = byId<HTMLButtonElement>('go');
  private readonly trouble = byId('trouble');
  private readonly progress = byId('progress-text');
  private readonly stopButton = byId<HTMLButtonElement>('stop');
  private readonly offerButton = byId<HTMLButtonElement>('offer');
  private underWay: { since: number; word: string; abort: AbortController } | undefined;
  private pageTimer: ReturnType<typeof setTimeout> | undefined;
  private offered: Offer | undefined;

  constructor(private readonly options: DepartureOptions) {
    this.stopButton.addEventListener('click', () => this.stop());
    this.offerButton.addEventListener('click', () => {
      if (this.offered !== undefined) options.onAccept(this.offered.region);
    });
  }

  get isUnderWay(): boolean {
    return this.underWay !== undefined;
  }

  /** Resolves when the page leaves, or when it stays. */
  async leave({ region, place, status }: Region, kind: string, way: Way): Promise<void> {
    const abort = new AbortController();
    this.underWay = { since: performance.now(), word: 'Rolling out', abort };
    this.tell('', undefined);
    setText(this.progress, way === 'private' ? `Opening a room in ${place}.` : '');
    this.button.disabled = true;
    this.button.setAttribute('aria-busy', 'true');
    this.stopButton.hidden = status === 'up';
    const request: JoinRequest = { region, kind, ...(way === 'private' && { private: true }), ...(way === 'watch' && { watch: true }) };
    try {
      const grant = await join(request, (stage) => this.onStage(stage, region), abort.signal);
      this.pageTimer = setTimeout(() => this.giveUpPage(), PAGE_TIMEOUT_MS);
      location.assign(grant.path + arrivalFragment(grant, this.options.me, this.options.storeLasts));
    } catch (error) {
      this.stay();
      if (!(error instanceof JoinError)) this.tell('Something went wrong on this page. Try again.', undefined);
      else if (error.code !== 'stopped') this.tell(error.message, error.offer);
    }
  }

  /** Gives up, if we are about to leave. */
  stop(): void {
    if (this.underWay === undefined) return;
    this.underWay.abort.abort();
    if (this.pageTimer !== undefined) this.leaveNot();
  }

  /** The room's page is on its way, and is not to come any more. */
  private leaveNot(): void {
    window.stop();
    this.stay();
  }

  private giveUpPage(): void {
    this.leaveNot();
    this.tell('The room’s page does not come. Check your connection and try again.', undefined);
  }

  /** The page is as it was before. */
  stay(): void {
    this.underWay = undefined;
    clearTimeout(this.pageTimer);
    this.pageTimer = undefined;
    this.button.removeAttribute('aria-busy');
    this.stopButton.hidden = true;
    setText(this.progress, '');
    this.options.onStay();
  }

  tick(now: number): void {
    if (this.underWay === undefined) return;
    const { word, since } = this.underWay;
    if (now - since > STOP_SHOWN_AFTER_MS) this.stopButton.hidden = false;
    setText(this.button, word === 'Rolling out' ? word : `${word} ${seconds(now - since)}`);
  }

  private onStage({ stage, message }: JoinStage, region: string): void {
    if (this.underWay === undefined) return;
    setText(this.progress, message);
    this.underWay.word = BUTTON_WORDS[stage] ?? 'Rolling out';
    if (stage === 'ready') return;
    this.stopButton.hidden = false;
    this.options.onStage(region);
  }

  private tell(sentence: string, offer: Offer | undefined): void {
    setText(this.trouble, sentence);
    this.offered = offer;
    this.offerButton.hidden = offer === undefined;
    if (offer !== undefined) {
      const latency = latencyText({ ...offer, latency: 'estimated' }).replace(' ', '\u00a0');
      setText(this.offerButton, `Go to ${offer.place} instead (${latency})`);
    }
    // On a phone it lies below what can be seen.
    const last = offer === undefined ? this.trouble : this.offerButton;
    if (sentence !== '') last.scrollIntoView({ block: 'nearest', behavior: prefersReducedMotion() ? 'auto' : 'smooth' });
  }
}
