// What a page does when a part of it does not come: it loads itself again, once, and then says so.
//
// The page's own script is watched by `public/assets/boot.js` in the same way. The mark that it was done lies in
// `history.state`, which lasts over a load of the same page, and needs no storage. It says why: only what failed may be of
// no use in the cache; what was late is fetched once, not twice on the same slow line.
import { byId } from './dom';
import { lastingAddress } from './room-address';

/** As in the pages: said by the style sheet alone. */
const LATER = 'This takes longer than usual.';
/** On a connection on which a page's parts take longer than this, the page says so and goes on waiting. */
const LATE_MS = 30_000;
/** The first three as `boot.js` says them of the script. */
const LATE = 'This page is still on its way. Your connection seems slow.';
const MISSING = 'Part of this page did not arrive. Check your connection and load it again.';
const TOO_OLD = 'This browser is too old for this page. Try a newer one.';
const BROKEN = 'This page could not start. Load it again, or go back to the lobby.';

/** `mismatch`: the room speaks another version than this page. */
export type Reason = 'failed' | 'late' | 'mismatch';

/** What a person would miss if it did not outlast a load of the page; it needs no storage. */
export interface Kept {
  name?: string;
  hue?: number;
  /** The token that makes it the same member again. */
  resume?: string;
  /** What was typed and not said yet. */
  draft?: string;
}

/** `boot.js` leaves `true`: it watches over the script alone, which says nothing of the other parts. */
const before = history.state as { reloaded?: Reason | true; kept?: Kept } | null;

/** This page loaded itself again a moment ago. */
export const hasReloaded = before?.reloaded !== undefined;
/** What it had loaded before was of no use, and may lie in the cache. */
export const isCacheSuspect = before?.reloaded === 'failed' || before?.reloaded === 'mismatch';
/** What the page before this one left to it. */
export const kept: Kept = before?.kept ?? {};

export function loadAgain(reason: Reason, keep: Kept = {}): void {
  history.replaceState({ reloaded: reason, kept: keep }, '');
  location.reload();
}

/** Loads the parts of a room's page and starts it with them; else the page loads itself again, or says what is wrong. */
export async function arrive<Parts>(load: () => Promise<Parts>, start: (parts: Parts) => void): Promise<void> {
  const late = setTimeout(() => (hasReloaded ? tellTrouble('late', LATE) : loadAgain('late')), LATE_MS);
  const parts = await load().catch((error: unknown) => giveUp(error, MISSING));
  clearTimeout(late);
  if (parts === undefined) return;
  // Neither ticket nor `?new` belongs into an invitation; until here they are what a page needs that loads itself again.
  settle(lastingAddress(location));
  try {
    start(parts);
  } catch (error) {
    giveUp(error, BROKEN);
  }
}

/** Some part did not come or is of no use: it is loaded once more, and then a person has to. */
function giveUp(error: unknown, sentence: string): undefined {
  console.error(error);
  if (!hasReloaded) loadAgain('failed');
  else tellTrouble('failed', typeof WebAssembly === 'object' ? sentence : TOO_OLD);
}

/** All parts are there: the next trouble may load the page again. `address`: what the page is to be called from now on. */
export function settle(address: string): void {
  history.replaceState(null, '', address);
  delete document.documentElement.dataset['boot'];
  byId('boot-text').textContent = LATER;
}

/** A sentence and the ways out. `failed`: nothing comes any more; `late`: it may still. */
export function tellTrouble(state: 'failed' | 'late', sentence: string): void {
  document.documentElement.dataset['boot'] = state;
  byId('boot-text').textContent = sentence;
}
