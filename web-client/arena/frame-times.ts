// How long each of the last pictures took to come, in a ring that is filled without making garbage.

/** Four seconds at 60 pictures a second. */
export const KEPT_COUNT = 240;

export class FrameTimes {
  private readonly ring = new Float32Array(KEPT_COUNT);
  private readonly sorted = new Float32Array(KEPT_COUNT);
  private next = 0;
  private kept = 0;

  get count(): number {
    return this.kept;
  }

  push(ms: number): void {
    this.ring[this.next] = ms;
    this.next = (this.next + 1) % KEPT_COUNT;
    this.kept = Math.min(KEPT_COUNT, this.kept + 1);
  }

  /** `age` 0 is the newest; 0 ms where nothing is kept. */
  at(age: number): number {
    return age < this.kept ? (this.ring[(this.next - 1 - age + 2 * KEPT_COUNT) % KEPT_COUNT] as number) : 0;
  }

  /** The time within which this share (0..1) of them came; 0 before any. */
  within(share: number): number {
    if (this.kept === 0) return 0;
    // Places never filled hold 0 and sort to the front.
    this.sorted.set(this.ring);
    this.sorted.sort();
    const rank = Math.min(this.kept, Math.max(1, Math.ceil(this.kept * share)));
    return this.sorted[KEPT_COUNT - this.kept + rank - 1] as number;
  }

  clear(): void {
    this.ring.fill(0);
    this.next = this.kept = 0;
  }
}
