// Caches the names and hues of a room's members, because each answer crosses from wasm as a new string.

const ASK_INTERVAL_MS = 400;
/** A known name is looked up again after this, because members may rename. */
const FRESH_MS = 4_000;
const KEPT_MAX = 600;

interface Entry {
  name: string | undefined;
  hue: number;
  askedAt: number;
}

export interface RosterSource {
  name_of(member: number): string | undefined;
  hue_of(member: number): number;
}

export class Roster {
  private readonly entries = new Map<number, Entry>();

  constructor(
    private readonly source: RosterSource,
    private readonly now: () => number,
  ) {}

  /** `undefined` while the name is on its way. */
  nameOf(member: number): string | undefined {
    return this.entry(member)?.name;
  }

  hueOf(member: number): number {
    return this.entry(member)?.hue ?? 0;
  }

  /** The name a member had when last asked; asks nobody. */
  lastNameOf(member: number): string | undefined {
    return this.entries.get(member)?.name;
  }

  /** An event told a name before we asked, or a member changed it. */
  learn(member: number, name: string): void {
    const entry = this.entry(member);
    if (entry !== undefined && name !== '') entry.name = name;
  }

  private entry(member: number): Entry | undefined {
    if (member === 0) return undefined;
    const now = this.now();
    const known = this.entries.get(member);
    const wait = known?.name === undefined ? ASK_INTERVAL_MS : FRESH_MS;
    if (known !== undefined && now - known.askedAt < wait) return known;
    if (known === undefined && this.entries.size >= KEPT_MAX) this.entries.clear();
    const entry = known ?? { name: undefined, hue: 0, askedAt: 0 };
    entry.name = this.source.name_of(member) ?? entry.name;
    entry.hue = this.source.hue_of(member);
    entry.askedAt = now;
    this.entries.set(member, entry);
    return entry;
  }
}
