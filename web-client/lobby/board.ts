// The departures board: a grid of rows that keeps its order under the reader's hand and flips what changed.
//
// It knows regions and texts; fetching, measuring and leaving are told to it or asked of it from outside.
import { el, icon, prefersReducedMotion } from '../shared/dom';
import { hints, isOpen, ordered, rowTexts, type Region, type RowTexts, type Status } from './regions';

const FLIP_MS = 360;
const COLUMNS = ['Region', 'Place', 'Status', 'People', 'Latency'] as const;

/** Each status has a shape, not only a colour. */
const SHAPES: Record<Status, string> = {
  up: 'M7 0A7 7 0 1 1 7 14A7 7 0 1 1 7 0Z',
  asleep: 'M12.6 9.4A6.4 6.4 0 1 1 5.2 1.2A5.2 5.2 0 0 0 12.6 9.4Z',
  waking: 'M0 11A7 7 0 0 1 14 11ZM6.2 0H7.8V3H6.2ZM1 3L2.2 2L4 4.2L2.8 5.2ZM13 3L11.8 2L10 4.2L11.2 5.2Z',
  full: 'M0 0H14V14H0ZM3 6H11V8H3Z',
  unreachable: 'M2 0L7 5L12 0L14 2L9 7L14 12L12 14L7 9L2 14L0 12L5 7L0 2Z',
};

interface BoardRow {
  element: HTMLTableRowElement;
  cells: Record<keyof Omit<RowTexts, 'wake'>, HTMLTableCellElement>;
  shown: RowTexts | undefined;
}

export class Board {
  private readonly body = el('tbody');
  private readonly rows = new Map<string, BoardRow>();
  private regions: Region[] = [];
  private chosen: string | undefined;
  /** After a hand was on it, the order stays. */
  private isTouched = false;
  private readonly wakingSince = new Map<string, number>();

  constructor(
    into: HTMLElement,
    private readonly onChoose: (region: Region | undefined) => void,
    private readonly onGo: () => void,
  ) {
    const heads = COLUMNS.map((title) => el('th', { scope: 'col', role: 'columnheader', class: isNumber(title) ? 'number' : '' }, title));
    const head = el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads));
    this.body.setAttribute('role', 'rowgroup');
    const table = el('table', { class: 'board', role: 'grid', 'aria-label': 'Places to go to' }, head, this.body);
    this.showEmpty('Asking the tower for departures.');
    into.replaceChildren(table);
    table.addEventListener('keydown', (event) => this.onKey(event));
  }

  get selected(): Region | undefined {
    return this.regions.find((region) => region.region === this.chosen);
  }

  /** Shows these regions; the selection stays where it is, else goes to the best. */
  show(regions: readonly Region[], now: number): void {
    this.regions = this.isTouched ? this.keepOrder(regions) : ordered(regions);
    for (const region of this.regions) {
      if (region.status !== 'waking') this.wakingSince.delete(region.region);
      else if (!this.wakingSince.has(region.region)) this.wakingSince.set(region.region, now);
    }
    if (!this.isTouched || this.selected === undefined) {
      this.chosen = (this.regions.find(isOpen) ?? this.regions[0])?.region;
    }
    this.draw(now);
    this.onChoose(this.selected);
  }

  /** Marks a region as waking before the lobby says so, because its button was just pressed. */
  markWaking(code: string, now: number): void {
    this.wakingSince.set(code, this.wakingSince.get(code) ?? now);
    this.regions = this.regions.map((region) => (region.region === code ? { ...region, status: 'waking' } : region));
    this.isTouched = true;
    this.draw(now);
  }

  /** Lets the seconds of waking regions run. */
  tick(now: number): void {
    for (const region of this.regions) {
      const label = this.rows.get(region.region)?.cells.status.querySelector('.word');
      if (region.status === 'waking' && label) label.textContent = this.texts(region, now).status;
    }
  }

  focus(): void {
    this.rows.get(this.chosen ?? '')?.element.focus({ preventScroll: true });
  }

  private draw(now: number): void {
    const known = new Set(this.regions.map((region) => region.region));
    for (const [code, row] of this.rows) {
      if (known.has(code)) continue;
      row.element.remove();
      this.rows.delete(code);
    }
    if (this.regions.length === 0) return this.showEmpty('No place is open right now. This board looks again by itself.');
    this.body.querySelector('.empty')?.remove();
    this.regions.forEach((region, index) => {
      const row = this.rows.get(region.region) ?? this.addRow(region.region);
      // Moving a focused row would lose its focus, so only rows out of place move.
      const there = this.body.children[index];
      if (there !== row.element) this.body.insertBefore(row.element, there ?? null);
      this.update(row, region, this.texts(region, now));
    });
  }

  private update(row: BoardRow, region: Region, texts: RowTexts): void {
    const isChosen = region.region === this.chosen;
    row.element.setAttribute('aria-selected', String(isChosen));
    row.element.tabIndex = isChosen ? 0 : -1;
    const before = row.shown;
    row.shown = texts;
    for (const key of ['code', 'place', 'people', 'latency'] as const) {
      if (before?.[key] !== texts[key]) this.flip(row.cells[key], before !== undefined, texts[key]);
    }
    if (row.element.dataset['status'] !== region.status || before?.wake !== texts.wake) {
      row.element.dataset['status'] = region.status;
      row.cells.status.className = `status ${region.status}`;
      const shape = icon('0 0 14 14', { d: SHAPES[region.status] });
      this.flip(row.cells.status, before !== undefined, shape, el('span', { class: 'word' }, texts.status), el('span', { class: 'aside' }, texts.wake));
    }
    const hint = hints(region);
    row.cells.latency.title = hint.latency;
    row.cells.status.title = hint.wake;
  }

  private flip(cell: HTMLTableCellElement, animate: boolean, ...content: (Node | string)[]): void {
    const flap = el('span', { class: 'flap' }, ...content);
    cell.replaceChildren(flap);
    if (!animate) return;
    const from = prefersReducedMotion() ? { opacity: 0 } : { opacity: 0.2, transform: 'rotateX(-88deg)' };
    flap.animate([from, { opacity: 1, transform: 'none' }], { duration: FLIP_MS, easing: 'cubic-bezier(.2,.9,.3,1)' });
  }

  private addRow(code: string): BoardRow {
    const cell = (name: string): HTMLTableCellElement => el('td', { role: 'gridcell', class: name });
    const cells = { code: cell('code'), place: cell('place'), status: cell('status'), people: cell('people number'), latency: cell('latency number') };
    const element = el('tr', { role: 'row', 'data-region': code }, ...Object.values(cells));
    element.addEventListener('click', () => {
      this.choose(code);
      this.onGo();
    });
    const row = { element, cells, shown: undefined };
    this.rows.set(code, row);
    return row;
  }

  /** As if a hand had done it. */
  choose(code: string): void {
    this.isTouched = true;
    this.chosen = code;
    for (const [key, row] of this.rows) {
      row.element.setAttribute('aria-selected', String(key === code));
      row.element.tabIndex = key === code ? 0 : -1;
    }
    this.onChoose(this.selected);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return this.onGo();
    }
    this.onArrow(event);
  }

  /** Arrow keys, Home and End move the selection; true if this event did. */
  onArrow(event: KeyboardEvent): boolean {
    const last = this.regions.length - 1;
    const at = this.regions.findIndex((region) => region.region === this.chosen);
    const targets: Record<string, number> = { ArrowDown: Math.min(last, at + 1), ArrowUp: Math.max(0, at - 1), Home: 0, End: last };
    const next = this.regions[targets[event.key] ?? -1];
    if (next === undefined) return false;
    event.preventDefault();
    this.choose(next.region);
    this.focus();
    return true;
  }

  private keepOrder(regions: readonly Region[]): Region[] {
    const place = new Map(this.regions.map((region, index) => [region.region, index]));
    const rank = (region: Region): number => place.get(region.region) ?? this.regions.length;
    return ordered(regions).sort((a, b) => rank(a) - rank(b));
  }

  private texts(region: Region, now: number): RowTexts {
    return rowTexts(region, now - (this.wakingSince.get(region.region) ?? now));
  }

  private showEmpty(sentence: string): void {
    this.body.replaceChildren(el('tr', { class: 'empty', role: 'row' }, el('td', { role: 'gridcell', colspan: '5' }, sentence)));
  }
}

function isNumber(title: string): boolean {
  return title === 'People' || title === 'Latency';
}
