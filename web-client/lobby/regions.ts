// What the board shows, as values: regions as the lobby tells them, their order, and every word on a row.

export type Status = 'up' | 'asleep' | 'waking' | 'full' | 'unreachable';

/** A kind of room that is offered. */
export interface Kind {
  word: string;
  title: string;
  /** What it is, in a sentence. */
  about: string;
  /** Whether its page draws with WebGL. */
  webgl: boolean;
}

/** What a region has for those who want one kind of room. */
interface KindPlaces {
  status: Status;
  /** In all its rooms of that kind. */
  people: number;
}

/** One region, as in `GET /api/regions`, but for one kind of room. */
export interface Region {
  region: string;
  place: string;
  status: Status;
  people: number;
  /** `null` where the lobby does not know from where we come. */
  latency_ms: number | null;
  latency: 'estimated' | 'measured';
  /** A machine that is up, to measure with. */
  probe: string | null;
  /** How long wakes took lately. */
  wake: { p50_ms: number; p95_ms: number; samples: number } | null;
}

export interface Departures {
  you: { region: string | null };
  /** Fly refuses to answer the lobby; this is what it said before. */
  stale: boolean;
  /** In the order in which they are offered. */
  kinds: Kind[];
  /** Best for the asker first. */
  regions: (Omit<Region, 'status' | 'people'> & { kinds: Readonly<Record<string, KindPlaces>> })[];
}

/** The texts of a row; a change of any of them makes its cell flip. */
export interface RowTexts {
  code: string;
  place: string;
  status: string;
  /** Beside the status: how long a wake usually takes. */
  wake: string;
  people: string;
  latency: string;
}

const STATUSES: readonly string[] = ['up', 'asleep', 'waking', 'full', 'unreachable'];
/** A machine with company beats a sleeping one that is nearer by up to this; the lobby orders by the same rule. */
const COMPANY_WORTH_MS = 20;

/** The answer of the lobby; `undefined` if it is none. */
export function parseDepartures(json: unknown): Departures | undefined {
  const body = json as Partial<Departures> | undefined;
  if (!Array.isArray(body?.regions) || !Array.isArray(body.kinds)) return undefined;
  const regions = body.regions.filter(({ region, place, kinds }) => typeof region === 'string' && typeof place === 'string' && typeof kinds === 'object');
  const kinds = body.kinds.filter(({ word, title }) => typeof word === 'string' && typeof title === 'string');
  return { you: { region: body.you?.region ?? null }, stale: body.stale === true, kinds, regions };
}

/** The kind with this word, or the first one that is offered. */
export function kindOf({ kinds }: Departures, word: string | undefined): Kind | undefined {
  return kinds.find((kind) => kind.word === word) ?? kinds[0];
}

/** The board for those who want this kind of room. A status from the future counts as unreachable. */
export function regionsFor(word: string, { regions }: Departures): Region[] {
  return regions.map(({ kinds, ...region }) => {
    const { status, people } = kinds[word] ?? { status: 'unreachable', people: 0 };
    return { ...region, status: STATUSES.includes(status) ? status : 'unreachable', people };
  });
}

/** Replaces estimates by what this browser measured itself, by region. */
export function withMeasured(regions: readonly Region[], measured: ReadonlyMap<string, number>): Region[] {
  return regions.map((region) => {
    const latency_ms = measured.get(region.region);
    return latency_ms === undefined ? region : { ...region, latency_ms, latency: 'measured' };
  });
}

/** Can one go there now? */
export function isOpen(region: Region): boolean {
  return region.status !== 'full' && region.status !== 'unreachable';
}

/** Best first: those one can go to, then by latency and company, then by code so that the order is steady. */
export function ordered(regions: readonly Region[]): Region[] {
  return [...regions].sort(
    (a, b) => Number(isOpen(b)) - Number(isOpen(a)) || distance(a) - distance(b) || a.region.localeCompare(b.region),
  );
}

function distance(region: Region): number {
  if (region.latency_ms === null) return Number.MAX_SAFE_INTEGER;
  return region.latency_ms + (region.status === 'asleep' ? COMPANY_WORTH_MS : 0);
}

/** `wakingMs`: how long this region has been waking, if it is. */
export function rowTexts(region: Region, wakingMs: number): RowTexts {
  const isUp = region.status === 'up' || region.status === 'full';
  return {
    code: region.region,
    place: region.place,
    status: statusWord(region.status, wakingMs),
    wake: region.status === 'asleep' && region.wake !== null ? `wakes in ${seconds(region.wake.p50_ms)}` : '',
    people: isUp ? String(region.people) : '–',
    latency: latencyText(region),
  };
}

export function statusWord(status: Status, wakingMs: number): string {
  if (status === 'waking') return `WAKING ${seconds(wakingMs)}`;
  return status === 'up' ? 'READY' : status.toUpperCase();
}

/** Measured plainly, estimated with a tilde. */
export function latencyText(region: Pick<Region, 'latency' | 'latency_ms'>): string {
  if (region.latency_ms === null) return '–';
  const ms = Math.max(1, Math.round(region.latency_ms));
  return region.latency === 'measured' ? `${ms} ms` : `~${ms} ms`;
}

/** What a pointer that rests on the status or the latency learns. */
export function hints(region: Region): { wake: string; latency: string } {
  const { wake } = region;
  return {
    wake: wake === null ? '' : `Half of the last ${wake.samples} wakes took at most ${seconds(wake.p50_ms)}, 95 % at most ${seconds(wake.p95_ms)}`,
    latency: region.latency === 'measured' ? 'Measured from here' : 'Estimated from the distance',
  };
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** The middle one of some measurements; the lower middle of an even number. */
export function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
}

/** The path of a room in what a person pasted, or `undefined` if it leads elsewhere. */
export function roomPath(pasted: string, origin: string): string | undefined {
  try {
    const url = new URL(pasted.trim(), origin);
    const isRoom = /^\/gameserver\/[\w-]+\/[\w-]+\/?$/.test(url.pathname);
    return isRoom && url.origin === origin ? url.pathname.replace(/\/$/, '') : undefined;
  } catch {
    return undefined;
  }
}
