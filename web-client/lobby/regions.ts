// What the board shows, as values: regions as the lobby tells them, their order, and every word on a row.

export type Status = 'up' | 'asleep' | 'waking' | 'full' | 'unreachable';

/** One region, as in `GET /api/regions`. */
export interface Region {
  region: string;
  place: string;
  status: Status;
  /** Open rooms on all its machines. */
  rooms: number;
  /** People. */
  players: number;
  /** People and computer pilots. */
  pilots: number;
  capacity: number;
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
  /** Best for the asker first. */
  regions: Region[];
}

/** The texts of a row; a change of any of them makes its cell flip. */
export interface RowTexts {
  code: string;
  place: string;
  status: string;
  /** Beside the status: how long a wake usually takes. */
  wake: string;
  pilots: string;
  people: string;
  rooms: string;
  latency: string;
}

const STATUSES: readonly string[] = ['up', 'asleep', 'waking', 'full', 'unreachable'];
/** A machine with company beats a sleeping one that is nearer by up to this; the lobby orders by the same rule. */
const COMPANY_WORTH_MS = 20;

/** The answer of the lobby; `undefined` if it is none. A status from the future counts as unreachable. */
export function parseDepartures(json: unknown): Departures | undefined {
  const body = json as Partial<Departures> | undefined;
  if (!Array.isArray(body?.regions)) return undefined;
  const regions = body.regions
    .filter((region) => typeof region.region === 'string' && typeof region.place === 'string')
    .map((region) => ({ ...region, status: STATUSES.includes(region.status) ? region.status : ('unreachable' as const) }));
  return { you: { region: body.you?.region ?? null }, stale: body.stale === true, regions };
}

/** Replaces estimates by what this browser measured itself, by region. */
export function withMeasured(regions: readonly Region[], measured: ReadonlyMap<string, number>): Region[] {
  return regions.map((region) => {
    const latency_ms = measured.get(region.region);
    return latency_ms === undefined ? region : { ...region, latency_ms, latency: 'measured' };
  });
}

/** Can a pilot fly there now? */
export function isFlyable(region: Region): boolean {
  return region.status !== 'full' && region.status !== 'unreachable';
}

/** Best first: those one can fly from, then by latency and company, then by code so that the order is steady. */
export function ordered(regions: readonly Region[]): Region[] {
  return [...regions].sort(
    (a, b) => Number(isFlyable(b)) - Number(isFlyable(a)) || distance(a) - distance(b) || a.region.localeCompare(b.region),
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
    pilots: isUp ? String(region.pilots) : '–',
    people: isUp ? people(region.players) : '',
    rooms: isUp && region.rooms > 1 ? `, ${region.rooms} rooms` : '',
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

function people(count: number): string {
  if (count === 0) return 'no people yet';
  return count === 1 ? '1 person' : `${count} people`;
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
