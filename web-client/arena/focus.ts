// Who has the keys: the plane, unless a field that is typed into or dragged, or a dialog, holds the focus. A focused
// button has Space and Enter and leaves the others to the plane. Whatever was used gives the keys back; Esc always does.

export type KeyOwner = 'plane' | 'button' | 'field';

const FIELDS = 'input, textarea, select, dialog, [contenteditable]';
const BUTTONS = 'button, a[href], summary';
/** What a focused button is pressed with. */
const PRESSES: readonly string[] = ['Space', 'Enter', 'NumpadEnter'];

/** Who has the keys while the focus is there. */
export function ownerOf(target: EventTarget | null): KeyOwner {
  if (document.querySelector('dialog[open]') !== null) return 'field';
  if (!(target instanceof Element)) return 'plane';
  if (target.closest(FIELDS) !== null) return 'field';
  return target.closest(BUTTONS) === null ? 'plane' : 'button';
}

/** Whether this key is the plane's. */
export function isForPlane(event: KeyboardEvent): boolean {
  const owner = ownerOf(event.target);
  return owner === 'plane' || (owner === 'button' && !PRESSES.includes(event.code));
}

/** Whether what is typed now goes elsewhere. */
export function isAsleep(): boolean {
  return ownerOf(document.activeElement) === 'field';
}

/** The keys go back to the plane, from wherever they are or from within `from`. */
export function giveBack(from: Element = document.body): void {
  const active = document.activeElement;
  if (active instanceof HTMLElement && active !== document.body && from.contains(active)) active.blur();
}

/** At once: the browser tells of a closed dialog only later, and a key may come before. */
export function closeDialog(dialog: HTMLDialogElement): void {
  dialog.close();
  giveBack();
}

/** Gives them back after use, for as long as the page lives. */
export function watchFocus(): void {
  const afterUse = (): void => {
    if (ownerOf(document.activeElement) === 'button') giveBack();
  };
  // A pointer never leaves the focus on a button, even if it is lifted elsewhere; by keyboard, pressing it is the use.
  for (const type of ['pointerup', 'pointercancel', 'click'] as const) addEventListener(type, afterUse);
  addEventListener('keydown', (event) => {
    // While a word is composed, Esc belongs to that.
    if (event.key !== 'Escape' || event.isComposing) return;
    const dialog = document.querySelector<HTMLDialogElement>('dialog[open]');
    if (dialog === null) return giveBack();
    event.preventDefault();
    closeDialog(dialog);
  }, true);
  // Closed in another way, as by a phone's gesture.
  document.addEventListener('close', ({ target }) => {
    if (target instanceof Element) giveBack(target);
    afterUse();
  }, true);
}
