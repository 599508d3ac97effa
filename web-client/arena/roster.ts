// Who is who: names and hues by pilot, asked for rarely because each answer crosses from wasm as a new string.

const ASK_INTERVAL_MS = 400;
/** A known name is looked up again after this, because pilots may rename. */
const FRESH_MS = 4_000;
const KEPT_MAX = 600;

interface Entry {
  name: string | undefined;
  hue: number;
  askedAt: number;
}

export interface RosterSource {
  name_of(pilot: number): string | undefined;
  hue_of(pilot: number): number;
}

export class Roster {
  private readonly entries = new Map<number, Entry>();

  constructor(
    private readonly source: RosterSource,
    private readonly now: () => number,
  ) {}

  /** `undefined` while the name is on its way. */
  nameOf(pilot: number): string | undefined {
    return this.entry(pilot)?.name;
  }

  hueOf(pilot: number): number {
    return this.entry(pilot)?.hue ?? 0;
  }

  /** The name a pilot had when last asked; asks nobody. */
  lastNameOf(pilot: number): string | undefined {
    return this.entries.get(pilot)?.name;
  }

  /** A happening told a name before we asked, or a pilot changed it. */
  learn(pilot: number, name: string): void {
    const entry = this.entry(pilot);
    if (entry !== undefined && name !== '') entry.name = name;
  }

  private entry(pilot: number): Entry | undefined {
    if (pilot === 0) return undefined;
    const now = this.now();
    const known = this.entries.get(pilot);
    const wait = known?.name === undefined ? ASK_INTERVAL_MS : FRESH_MS;
    if (known !== undefined && now - known.askedAt < wait) return known;
    if (known === undefined && this.entries.size >= KEPT_MAX) this.entries.clear();
    const entry = known ?? { name: undefined, hue: 0, askedAt: 0 };
    entry.name = this.source.name_of(pilot) ?? entry.name;
    entry.hue = this.source.hue_of(pilot);
    entry.askedAt = now;
    this.entries.set(pilot, entry);
    return entry;
  }
}
