// How fine the picture is drawn: a machine that cannot keep up gets a coarser one instead of a stuttering one.
//
// Pure: fed with the time between frames. Steps down at once, up again only after a long calm, and each failed try
// doubles that wait, so that the picture does not pump.

export interface Level {
  /** Share of the full resolution. */
  resolution: number;
  clouds: boolean;
}

const LEVELS: readonly Level[] = [
  { resolution: 1, clouds: true },
  { resolution: 1, clouds: false },
  { resolution: 0.75, clouds: false },
  // Name tags are still readable.
  { resolution: 0.6, clouds: false },
];
const SLOW_FRAME_MS = 36;
/** So slow that small steps would take too long. */
const CRAWLING_FRAME_MS = 75;
const FAST_FRAME_MS = 21;
const WINDOW_MS = 900;
const WINDOW_MIN_FRAMES = 4;
/** The first moments paint the landscape and compile shaders. */
const SETTLE_MS = 1_200;
const CALM_MS = 12_000;

export class Detail {
  private step = 0;
  private windowMs = 0;
  private frames = 0;
  private settleMs = SETTLE_MS;
  private calmMs = 0;
  private neededCalmMs = CALM_MS;

  get level(): Level {
    return LEVELS[this.step] as Level;
  }

  /** Counts one frame; true when the level changed. */
  tick(deltaMs: number): boolean {
    if (this.settleMs > 0) {
      this.settleMs -= deltaMs;
      return false;
    }
    this.windowMs += deltaMs;
    this.frames += 1;
    if (this.windowMs < WINDOW_MS || this.frames < WINDOW_MIN_FRAMES) return false;
    const average = this.windowMs / this.frames;
    this.calmMs = average < FAST_FRAME_MS ? this.calmMs + this.windowMs : 0;
    this.windowMs = this.frames = 0;
    if (average > SLOW_FRAME_MS) return this.lower(average > CRAWLING_FRAME_MS ? LEVELS.length : 1);
    return this.calmMs > this.neededCalmMs && this.raise();
  }

  private lower(steps: number): boolean {
    const before = this.step;
    this.step = Math.min(LEVELS.length - 1, this.step + steps);
    this.settleMs = SETTLE_MS;
    return this.step !== before;
  }

  private raise(): boolean {
    this.calmMs = 0;
    if (this.step === 0) return false;
    this.neededCalmMs *= 2;
    this.step -= 1;
    this.settleMs = SETTLE_MS;
    return true;
  }
}
