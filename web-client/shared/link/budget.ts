// A retry budget: counts how often something was done within the last minute. The tab remembers it, so that a page that
// loads itself again does not begin to count anew. It only counts; what a spent budget means is the caller's
// (`reconnector.ts`).
import type { Store } from '../store';

const WINDOW_MS = 60_000;

export class Budget {
  /** `now`: milliseconds since 1970, because another page of this tab may have counted before. */
  constructor(
    private readonly store: Store,
    private readonly key: string,
    private readonly max: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** Times within the last minute. */
  get used(): number {
    return this.recent().length;
  }

  get isSpent(): boolean {
    return this.used >= this.max;
  }

  note(): void {
    const times = [...this.recent(), this.now()].slice(-this.max);
    this.store.set(this.key, times.join(' '));
  }

  /** A person decided: it counts from the beginning. */
  clear(): void {
    this.store.remove(this.key);
  }

  /** A clock that was set back makes no budget that stays spent: what lies ahead of it is forgotten. */
  private recent(): number[] {
    const age = (at: number): number => this.now() - at;
    const times = (this.store.get(this.key) ?? '').split(' ').filter((text) => text !== '').map(Number);
    return times.filter((at) => age(at) >= 0 && age(at) < WINDOW_MS);
  }
}
