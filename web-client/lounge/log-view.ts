// Draws the rows of the log, and keeps the reader's place: at the newest line, or wherever they scrolled to.
//
// Only rows that changed touch the DOM. Text is set as text, and every name and line is isolated in its direction.
import { byId, el, setText } from '../shared/dom';
import { planeIcon } from '../shared/hue-chooser';
import { hueOf } from '../shared/palette';
import type { OwnState } from './feed';
import type { Row } from './rows';

/** So near to the end counts as at the end. */
const AT_END_PX = 40;

/** A word for each state, and a shape beside it. */
const STATES: Record<OwnState, { word: string; mark: string }> = {
  sending: { word: 'sending', mark: '○' },
  sent: { word: 'sent', mark: '✓' },
  kept: { word: 'kept', mark: '✓✓' },
  declined: { word: 'not sent', mark: '✕' },
};

export class LogView {
  private readonly scroller = byId('log');
  private readonly list = byId('log-lines');
  private readonly pill = byId<HTMLButtonElement>('newer');
  private readonly drawn = new Map<string, { element: HTMLLIElement; row: string }>();
  private isAtEnd = true;
  private unseen = 0;

  /** `onTakeBack`: a line that was declined goes back to where it is written. */
  constructor(private readonly onTakeBack: (key: string) => void) {
    this.scroller.addEventListener('scroll', () => this.onScroll());
    this.pill.addEventListener('click', () => this.toEnd());
    // What is shown keeps its end where the height changes, as by a phone's keyboard.
    new ResizeObserver(() => this.keepEnd()).observe(this.scroller);
  }

  /** `added`: lines of others that are new among these rows. */
  show(rows: readonly Row[], added: number): void {
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, { element }] of this.drawn) {
      if (keys.has(key)) continue;
      element.remove();
      this.drawn.delete(key);
    }
    rows.forEach((row, index) => this.place(row, index));
    this.unseen = this.isAtEnd ? 0 : this.unseen + added;
    this.tellUnseen();
    this.keepEnd();
  }

  toEnd(): void {
    this.isAtEnd = true;
    this.keepEnd();
    this.onScroll();
  }

  private place(row: Row, index: number): void {
    const [before, text] = [this.drawn.get(row.key), JSON.stringify(row)];
    let element = before?.element;
    if (element === undefined || before?.row !== text) {
      const fresh = this.element(row);
      element?.replaceWith(fresh);
      element = fresh;
      this.drawn.set(row.key, { element, row: text });
    }
    const there = this.list.children[index];
    if (there !== element) this.list.insertBefore(element, there ?? null);
  }

  private element(row: Row): HTMLLIElement {
    if (row.kind === 'day') return el('li', { class: 'day' }, el('span', {}, row.text));
    if (row.kind === 'notice') return el('li', { class: 'notice' }, row.text);
    const line = el('li', { class: `line${row.isFirst ? ' first' : ''}${row.isOwn ? ' own' : ''} ${row.state ?? ''}`.trim() });
    const time = el('time', { datetime: row.at }, row.time);
    const name = el('bdi', { class: row.isFirst ? 'name' : 'hidden-text', dir: 'auto' }, row.name);
    if (row.isFirst) line.append(el('span', { class: 'wing' }, planeIcon(hueOf(row.hue))), el('p', { class: 'who' }, name, time));
    else line.append(name);
    line.append(el('bdi', { class: 'text', dir: 'auto' }, row.text));
    if (row.state !== undefined) line.append(stateOf(row.state));
    if (row.state === 'declined') line.append(el('p', { class: 'reason' }, row.reason ?? '', this.takeBack(row.key)));
    return line;
  }

  private takeBack(key: string): HTMLButtonElement {
    const button = el('button', { type: 'button', class: 'quiet-button' }, 'Write it again');
    button.addEventListener('click', () => this.onTakeBack(key));
    return button;
  }

  private onScroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    if (this.isAtEnd) this.unseen = 0;
    this.tellUnseen();
  }

  private tellUnseen(): void {
    this.pill.hidden = this.isAtEnd;
    setText(this.pill, this.unseen === 0 ? 'To the newest line' : this.unseen === 1 ? 'One new line' : `${this.unseen} new lines`);
  }

  private keepEnd(): void {
    if (this.isAtEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function stateOf(state: OwnState): HTMLSpanElement {
  const { word, mark } = STATES[state];
  return el('span', { class: 'state', title: word }, el('span', { 'aria-hidden': 'true' }, mark), el('span', { class: state === 'kept' || state === 'sent' ? 'hidden-text' : '' }, word));
}
