// What the board shows, as values: servers as the lobby tells them, their order, and every word on a row.

export type Status = 'ready' | 'asleep' | 'waking' | 'full' | 'unreachable';

/** One gameserver machine, as in `GET /api/regions`. */
export interface Server {
  instance: string;
  region: string;
  place: string;
  status: Status;
  /** People. */
  players: number;
  /** People and computer pilots. */
  pilots: number;
  capacity: number;
  latency_ms: number;
  latency: 'estimated' | 'measured';
}

export interface Departures {
  you: { region: string | null };
  /** Best for the asker first. */
  servers: Server[];
}

/** The texts of a row; a change of any of them makes its cell flip. */
export interface RowTexts {
  code: string;
  place: string;
  status: string;
  pilots: string;
  people: string;
  latency: string;
}

const STATUSES: readonly string[] = ['ready', 'asleep', 'waking', 'full', 'unreachable'];

/** The answer of the lobby; `undefined` if it is none. Servers with a status from the future count as unreachable. */
export function parseDepartures(json: unknown): Departures | undefined {
  const body = json as Partial<Departures> | undefined;
  if (!Array.isArray(body?.servers)) return undefined;
  const servers = body.servers
    .filter((server) => typeof server.instance === 'string' && typeof server.region === 'string')
    .map((server) => ({ ...server, status: STATUSES.includes(server.status) ? server.status : ('unreachable' as const) }));
  return { you: { region: body.you?.region ?? null }, servers };
}

/** Replaces estimates by what this browser measured itself. */
export function withMeasured(servers: readonly Server[], measured: ReadonlyMap<string, number>): Server[] {
  return servers.map((server) => {
    const latency_ms = measured.get(server.instance);
    return latency_ms === undefined ? server : { ...server, latency_ms, latency: 'measured' };
  });
}

/** Can a pilot fly there now? */
export function isFlyable(server: Server): boolean {
  return server.status !== 'full' && server.status !== 'unreachable';
}

/** Best first: those one can fly from, then by latency, then by code and instance so that the order is steady. */
export function ordered(servers: readonly Server[]): Server[] {
  return [...servers].sort(
    (a, b) =>
      Number(isFlyable(b)) - Number(isFlyable(a)) ||
      a.latency_ms - b.latency_ms ||
      a.region.localeCompare(b.region) ||
      a.instance.localeCompare(b.instance),
  );
}

/** `wakingMs`: how long this machine has been waking, if it is. */
export function rowTexts(server: Server, wakingMs: number): RowTexts {
  const isUp = server.status === 'ready' || server.status === 'full';
  return {
    code: server.region,
    place: server.place,
    status: statusWord(server.status, wakingMs),
    pilots: isUp ? String(server.pilots) : '–',
    people: isUp ? people(server.players) : '',
    latency: latencyText(server),
  };
}

export function statusWord(status: Status, wakingMs: number): string {
  return status === 'waking' ? `WAKING ${(wakingMs / 1000).toFixed(1)} s` : status.toUpperCase();
}

/** Measured plainly, estimated with a tilde. */
export function latencyText(server: Server): string {
  const ms = Math.max(1, Math.round(server.latency_ms));
  return server.latency === 'measured' ? `${ms} ms` : `~${ms} ms`;
}

function people(count: number): string {
  if (count === 0) return 'no people yet';
  return count === 1 ? '1 person' : `${count} people`;
}

/** The middle one of some measurements; the lower middle of an even number. */
export function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
}

/** The way to a field in what a person pasted, or `undefined` if it leads elsewhere. */
export function fieldPath(pasted: string, origin: string): string | undefined {
  try {
    const url = new URL(pasted.trim(), origin);
    const isField = /^\/gameserver\/[\w-]+\/[\w-]+\/?$/.test(url.pathname);
    return isField && url.origin === origin ? url.pathname.replace(/\/$/, '') : undefined;
  } catch {
    return undefined;
  }
}
