// What a page does when a part of it does not come: it loads itself again, once, and then says so.
//
// The page's own script is watched by `public/assets/boot.js` in the same way. The mark that it was done lies in
// `history.state`, which lasts over a load of the same page, and needs no storage. It says why: only what failed may be of
// no use in the cache; what was late is fetched once, not twice on the same slow line.
import { byId } from './dom';

/** As in the pages: said by the style sheet alone. */
const LATER = 'This takes longer than usual.';

/** `mismatch`: the room speaks another version than this page. */
export type Reason = 'failed' | 'late' | 'mismatch';

/** `boot.js` leaves `true`: it watches over the script alone, which says nothing of the other parts. */
const reloaded = (history.state as { reloaded?: Reason | true } | null)?.reloaded;

/** This page loaded itself again a moment ago. */
export const hasReloaded = reloaded !== undefined;
/** What it had loaded before was of no use, and may lie in the cache. */
export const isCacheSuspect = reloaded === 'failed';

export function loadAgain(reason: Reason): void {
  history.replaceState({ reloaded: reason }, '');
  location.reload();
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
