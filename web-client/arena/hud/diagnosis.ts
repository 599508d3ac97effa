// Finds out what is to blame when the game stutters: the network, the server or this device. Pure: figures and moments
// in, one cause out.
//
// Priorities, when several are true: a server whose time runs slower explains late news, so it comes first; then one that
// paused, which explains silence; then the network, which hides what lies behind it; then a server that leaves things out;
// the device last, because its slowness is judged while news come regularly. A sound line (round trip, evenness) is only
// judged while the page itself draws in time, because a busy page reads its messages late; silence far beyond its own
// frames is not its own in any case. While it lasts, nobody can say whose it is; the first news tell whether the server
// paused, and only if they do not, it was the network's.

/** What the server says of itself. `level`: what it leaves out, 0 nothing, then ever more; `slow`: time itself runs slower. */
export interface Service {
  level: number;
  slow: boolean;
}

export const FULL_SERVICE: Service = { level: 0, slow: false };

export type Cause = 'none' | 'slow server' | 'paused server' | 'silence' | 'network' | 'busy server' | 'device';

/** All in milliseconds. */
export interface Measured {
  /** The longest silence of the connection since the last judgement, the one going on included. News come at least every 100 ms. */
  silenceMs: number;
  jitterMs: number;
  tripMs: number;
  /** Within this, 95 % of the pictures came, of which there must be some. */
  frameMs: number;
}

/** Longer silences are noticed as stutter of others. */
const SILENCE_BAD_MS = 400;
/** What of a silence may be this page's own doing, in pictures. */
const SILENCE_OWN_FRAMES = 3;
/** A shorter pause of the server is felt by nobody. */
const PAUSE_TOLD_MS = 200;
/** So long after a silence it is known whether the server paused: that takes a round trip or two. */
const VERDICT_MS = 600;
/** Judgements come this often; what lies between two of them beyond that, this page or its device stood still itself. */
const JUDGED_EVERY_MS = 500;
const STANDSTILL_MIN_MS = 250;
/** Within this of the soonest, 95 % of the news should come; the buffer for others hides less without being felt. */
const JITTER_BAD_MS = 60;
/** A round trip so much longer than of late is felt; a connection that is always long is not told again and again. */
const TRIP_RISE_BAD_MS = 120;
/** Below this share of the limits the connection is good again. */
const GOOD_SHARE = 0.6;
/** How much of a risen round trip is taken for the usual one at each judgement: half of it within a minute. */
const TRIP_USUAL_SHARE = 0.006;
/** Well beyond 30 pictures a second. */
const FRAME_BAD_MS = 50;
const FRAME_GOOD_MS = 40;
const UNEVEN_FOR_MS = 1_000;
const SLOW_FOR_MS = 3_000;
/** So long must all be well before a cause is taken back, and so long a pause of the server is told. */
const CALM_FOR_MS = 3_000;
/** Judging starts so long after coming in or back: shaders are compiled, caches filled. */
export const SETTLE_MS = 5_000;

/** Something bad that must last to be believed, and be gone for a while to be forgotten. */
class Suspicion {
  isHeld = false;
  private badSince: number | undefined;
  private goodSince: number | undefined;

  constructor(private readonly believedAfterMs: number) {}

  weigh(isBad: boolean, isGood: boolean, now: number): boolean {
    this.badSince = isBad ? (this.badSince ?? now) : undefined;
    this.goodSince = isGood ? (this.goodSince ?? now) : undefined;
    if (this.badSince !== undefined && now - this.badSince >= this.believedAfterMs) this.isHeld = true;
    else if (this.goodSince !== undefined && now - this.goodSince >= CALM_FOR_MS) this.isHeld = false;
    return this.isHeld;
  }
}

/** A silence of the connection: going on, then over and not yet explained, then the network's. */
class Silence {
  private heldUntil = Number.NEGATIVE_INFINITY;
  private endedAt: number | undefined;
  isOpen = false;

  weigh(isBad: boolean, now: number): void {
    if (isBad) [this.isOpen, this.endedAt] = [true, now];
    else if (this.endedAt !== undefined && now - this.endedAt >= VERDICT_MS) {
      [this.isOpen, this.endedAt] = [false, undefined];
      this.heldUntil = now + CALM_FOR_MS;
    }
  }

  isHeld(now: number): boolean {
    return now < this.heldUntil;
  }
}

export class Diagnosis {
  private service: Service = FULL_SERVICE;
  private silence = new Silence();
  private uneven = new Suspicion(UNEVEN_FOR_MS);
  private slow = new Suspicion(SLOW_FOR_MS);
  private usualTripMs = Number.POSITIVE_INFINITY;
  private settledAt = Number.POSITIVE_INFINITY;
  private pauseToldUntil = Number.NEGATIVE_INFINITY;
  private judgedAt: number | undefined;
  /** The last pause of the server, for as long as it is told. */
  pausedMs = 0;

  /** The page came in, or back, or lost its line: nothing is known yet. What the server said of itself stays. */
  startOver(now: number): void {
    this.silence = new Silence();
    this.uneven = new Suspicion(UNEVEN_FOR_MS);
    this.slow = new Suspicion(SLOW_FOR_MS);
    this.settledAt = now + SETTLE_MS;
    this.judgedAt = undefined;
  }

  /** The server's own word. */
  serve(service: Service): void {
    this.service = service;
  }

  /** A clock jumped, by so much ahead: it explains the silence before it, and what was measured across it holds no more. */
  jump(ms: number, isOwn: boolean, now: number): void {
    this.silence = new Silence();
    this.uneven = new Suspicion(UNEVEN_FOR_MS);
    if (isOwn) this.usualTripMs = Number.POSITIVE_INFINITY;
    else if (-ms >= PAUSE_TOLD_MS) [this.pausedMs, this.pauseToldUntil] = [-ms, now + CALM_FOR_MS];
  }

  /** To be asked about twice a second. */
  judge(measured: Measured, now: number): Cause {
    const { slow: isServerSlow, level } = this.service;
    const isSettled = now >= this.settledAt;
    if (isSettled) this.weigh(measured, now);
    this.judgedAt = now;
    if (isServerSlow) return 'slow server';
    if (now < this.pauseToldUntil) return 'paused server';
    if (isSettled && (this.silence.isHeld(now) || this.uneven.isHeld)) return 'network';
    if (isSettled && this.silence.isOpen) return 'silence';
    if (level > 0) return 'busy server';
    return isSettled && this.slow.isHeld ? 'device' : 'none';
  }

  private weigh({ silenceMs, jitterMs, tripMs, frameMs }: Measured, now: number): void {
    if (tripMs > 0) this.usualTripMs = tripMs < this.usualTripMs ? tripMs : this.usualTripMs + (tripMs - this.usualTripMs) * TRIP_USUAL_SHARE;
    const sinceJudged = now - (this.judgedAt ?? now) - JUDGED_EVERY_MS;
    const standstill = sinceJudged > STANDSTILL_MIN_MS ? sinceJudged : 0;
    const silenceOfLink = silenceMs - standstill - SILENCE_OWN_FRAMES * frameMs;
    const isDrawing = frameMs < FRAME_GOOD_MS;
    const unevenness = Math.max(jitterMs / JITTER_BAD_MS, (tripMs - this.usualTripMs) / TRIP_RISE_BAD_MS);
    this.silence.weigh(silenceOfLink > SILENCE_BAD_MS, now);
    this.uneven.weigh(isDrawing && unevenness > 1, !isDrawing || unevenness < GOOD_SHARE, now);
    this.slow.weigh(frameMs > FRAME_BAD_MS, frameMs < FRAME_GOOD_MS, now);
  }
}
