// What a page does when a part of it does not come: it loads itself again, once, and then says so.
//
// The page's own script is watched by `public/assets/boot.js` in the same way. The mark that it was done lies in
// `history.state`, which lasts over a load of the same page, and needs no storage.
import { byId } from './dom';

/** As in the pages: said by the style sheet alone. */
const LATER = 'This takes longer than usual.';

/** This page loaded itself again a moment ago. */
export const hasReloaded = (history.state as { reloaded?: boolean } | null)?.reloaded === true;

export function loadAgain(): void {
  history.replaceState({ reloaded: true }, '');
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
