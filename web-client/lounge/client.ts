// The one file that knows the wasm package.
import init, { Client } from '../pkg/lounge.js';
import type { ClientEvent, LoungeClient } from './client-event';

/** `isCacheSuspect`: what came before was of no use, so that it must not come from the cache. */
export async function loadClient(isCacheSuspect: boolean): Promise<LoungeClient> {
  const address = new URL('../pkg/lounge_bg.wasm', import.meta.url);
  // Nor from what the page has preloaded, which goes by the address alone.
  if (isCacheSuspect) address.search = 'again';
  await init({ module_or_path: fetch(address, { cache: isCacheSuspect ? 'reload' : 'default' }) });
  return new Client();
}

/** The next event; `undefined` when there is none. */
export function nextEvent(client: LoungeClient): ClientEvent | undefined {
  const json = client.poll_event();
  return json === undefined ? undefined : (JSON.parse(json) as ClientEvent);
}
