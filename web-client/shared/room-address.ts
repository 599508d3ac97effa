// The address of a room, `/gameserver/<instance>/<room>`: what it says, and whether anybody answers there.
import { KINDS } from './generated/protocol';

export interface RoomAddress {
  instance: string;
  room: string;
}

export function roomAddressOf(path: string): RoomAddress {
  const [, , instance = '', room = ''] = path.split('/');
  return { instance, room };
}

const PUBLIC_ROOMS: readonly string[] = KINDS;

/** The room's id wherever it is: every machine has a public room of each kind, all other names are the room's only one. */
export function durableId({ instance, room }: RoomAddress): string {
  return PUBLIC_ROOMS.includes(room) ? `${room}-${instance}` : room;
}

/** Whether only those find it who have its link. */
export function isPrivate(room: string): boolean {
  return /^(?:[a-z]+-p|field)-/.test(room);
}

/** Whether this is a private room's name for those who only read along. */
export function isAlias(room: string): boolean {
  return /^[a-z]+-r-/.test(room);
}

/** In the address of somebody who came from the board to look on: nothing is woken for them. */
const WATCH = '?watch';

/** Whether the page only looks on at a public room. */
export function isWatching({ search }: { search: string }): boolean {
  return search === WATCH;
}

/** The page's address without what is only said once. */
export function lastingAddress({ pathname, search }: { pathname: string; search: string }): string {
  return isWatching({ search }) ? pathname + WATCH : pathname;
}

/** The address of its socket; `base` is the page's own. */
export function socketUrl(path: string, base: string): string {
  const url = new URL(path, base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** A server that is there answers within a round trip or two; one that stands still never does. */
const ANSWER_TIMEOUT_MS = 4_000;

/** Where the page at this path is now: a machine that lost a room sends its page's visitors on. */
export async function followRedirect(path: string): Promise<string> {
  try {
    const { url } = await fetch(path, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return url === '' ? path : new URL(url).pathname;
  } catch {
    return path;
  }
}

/** Whether the machine of this room answers over plain HTTP. */
export async function serverAnswers(path: string): Promise<boolean> {
  try {
    const { pathname, search } = new URL(path, 'http://room');
    const { instance } = roomAddressOf(pathname);
    // Where a page only looks on, that wakes nothing either.
    const { ok } = await fetch(`/gameserver/${instance}/status${isWatching({ search }) ? WATCH : ''}`, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return ok;
  } catch {
    return false;
  }
}
