// The one file that knows the wasm package: the replica that decodes and predicts with the server's own code.
import init, { Client } from '../pkg/arena.js';
import { readFrame, type Frame } from './frame';
import type { ClientEvent, LinkStats, Standing } from './client-event';

export type { Client };

/** `isCacheSuspect`: what came before was of no use, so that it must not come from the cache. */
export async function loadClient(isCacheSuspect: boolean): Promise<Client> {
  const address = new URL('../pkg/arena_bg.wasm', import.meta.url);
  // Nor from what the page has preloaded, which goes by the address alone.
  if (isCacheSuspect) address.search = 'again';
  await init({ module_or_path: fetch(address, { cache: isCacheSuspect ? 'reload' : 'default' }) });
  return new Client();
}

/** Fills the frame with what to draw now. */
export function view(client: Client, now: number, frame: Frame): void {
  readFrame(client.view(now), now, frame);
}

/** The next event; `undefined` when there is none. */
export function nextEvent(client: Client): ClientEvent | undefined {
  const json = client.poll_event();
  return json === undefined ? undefined : (JSON.parse(json) as ClientEvent);
}

export function standings(client: Client): Standing[] {
  return JSON.parse(client.standings()) as Standing[];
}

export function stats(client: Client): LinkStats {
  return JSON.parse(client.stats()) as LinkStats;
}
