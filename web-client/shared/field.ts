// A field's address: `/gameserver/<instance>/<room>`, and what it says.

export interface Field {
  instance: string;
  room: string;
}

const PUBLIC_ROOM = 'arena';

export function fieldOf(path: string): Field {
  const [, , instance = '', room = PUBLIC_ROOM] = path.split('/');
  return { instance, room };
}

/** The room's id wherever it is: every machine has a public field of its own, all other names are the room's only one. */
export function durableId({ instance, room }: Field): string {
  return room === PUBLIC_ROOM ? `${PUBLIC_ROOM}-${instance}` : room;
}

/** The address of its socket; `base` is the page's own. */
export function socketUrl(path: string, base: string): string {
  const url = new URL(path, base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Where the page at this path is now: a machine that lost a room sends its page's visitors on. */
export async function followRedirect(path: string): Promise<string> {
  try {
    const { url } = await fetch(path);
    return url === '' ? path : new URL(url).pathname;
  } catch {
    return path;
  }
}
