// The departures board: a grid of rows that keeps its order under the reader's hand and flips what changed.
//
// It knows servers and texts; fetching, measuring and flying are told to it or asked of it from outside.
import { el, icon, prefersReducedMotion } from '../shared/dom';
import { isFlyable, ordered, rowTexts, type RowTexts, type Server, type Status } from './servers';

const FLIP_MS = 360;
const COLUMNS = ['Region', 'Place', 'Status', 'Pilots', 'Latency'] as const;

/** Each status has a shape, not only a colour. */
const SHAPES: Record<Status, string> = {
  ready: 'M7 0A7 7 0 1 1 7 14A7 7 0 1 1 7 0Z',
  asleep: 'M12.6 9.4A6.4 6.4 0 1 1 5.2 1.2A5.2 5.2 0 0 0 12.6 9.4Z',
  waking: 'M0 11A7 7 0 0 1 14 11ZM6.2 0H7.8V3H6.2ZM1 3L2.2 2L4 4.2L2.8 5.2ZM13 3L11.8 2L10 4.2L11.2 5.2Z',
  full: 'M0 0H14V14H0ZM3 6H11V8H3Z',
  unreachable: 'M2 0L7 5L12 0L14 2L9 7L14 12L12 14L7 9L2 14L0 12L5 7L0 2Z',
};

interface Line {
  row: HTMLTableRowElement;
  cells: Record<keyof Omit<RowTexts, 'people'>, HTMLTableCellElement>;
  shown: RowTexts | undefined;
  status: Status | undefined;
}

export class Board {
  private readonly body = el('tbody');
  private readonly lines = new Map<string, Line>();
  private servers: Server[] = [];
  private chosen: string | undefined;
  /** After a hand was on it, the order stays. */
  private isTouched = false;
  private readonly wakingSince = new Map<string, number>();

  constructor(
    into: HTMLElement,
    private readonly onChoose: (server: Server | undefined) => void,
    private readonly onFly: () => void,
  ) {
    const heads = COLUMNS.map((title) => el('th', { scope: 'col', role: 'columnheader', class: isNumber(title) ? 'number' : '' }, title));
    const head = el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads));
    this.body.setAttribute('role', 'rowgroup');
    const table = el('table', { class: 'board', role: 'grid', 'aria-label': 'Fields to fly from' }, head, this.body);
    this.showEmpty('Asking the tower for departures.');
    into.replaceChildren(table);
    table.addEventListener('keydown', (event) => this.onKey(event));
  }

  get selected(): Server | undefined {
    return this.servers.find((server) => server.instance === this.chosen);
  }

  /** Shows these servers; the selection stays with its server, else goes to the best. */
  show(servers: readonly Server[], now: number): void {
    this.servers = this.isTouched ? this.keepOrder(servers) : ordered(servers);
    for (const server of this.servers) {
      if (server.status !== 'waking') this.wakingSince.delete(server.instance);
      else if (!this.wakingSince.has(server.instance)) this.wakingSince.set(server.instance, now);
    }
    if (!this.isTouched || this.selected === undefined) {
      this.chosen = (this.servers.find(isFlyable) ?? this.servers[0])?.instance;
    }
    this.draw(now);
    this.onChoose(this.selected);
  }

  /** Marks a machine as waking before the lobby says so, because its button was just pressed. */
  markWaking(instance: string, now: number): void {
    this.wakingSince.set(instance, this.wakingSince.get(instance) ?? now);
    this.servers = this.servers.map((server) => (server.instance === instance ? { ...server, status: 'waking' } : server));
    this.isTouched = true;
    this.draw(now);
  }

  /** Lets the seconds of waking machines run. */
  tick(now: number): void {
    for (const server of this.servers) {
      const label = this.lines.get(server.instance)?.cells.status.querySelector('.word');
      if (server.status === 'waking' && label) label.textContent = this.texts(server, now).status;
    }
  }

  focus(): void {
    this.lines.get(this.chosen ?? '')?.row.focus({ preventScroll: true });
  }

  private draw(now: number): void {
    const known = new Set(this.servers.map((server) => server.instance));
    for (const [instance, line] of this.lines) {
      if (known.has(instance)) continue;
      line.row.remove();
      this.lines.delete(instance);
    }
    if (this.servers.length === 0) return this.showEmpty('No field is open right now. This board looks again by itself.');
    this.body.querySelector('.empty')?.remove();
    this.servers.forEach((server, index) => {
      const line = this.lines.get(server.instance) ?? this.addLine(server.instance);
      // Moving a focused row would lose its focus, so only rows out of place move.
      const there = this.body.children[index];
      if (there !== line.row) this.body.insertBefore(line.row, there ?? null);
      this.update(line, server, this.texts(server, now));
    });
  }

  private update(line: Line, server: Server, texts: RowTexts): void {
    const isChosen = server.instance === this.chosen;
    line.row.setAttribute('aria-selected', String(isChosen));
    line.row.tabIndex = isChosen ? 0 : -1;
    const before = line.shown;
    const statusChanged = line.status !== server.status;
    line.shown = texts;
    line.status = server.status;
    for (const key of ['code', 'place', 'latency'] as const) {
      if (before?.[key] !== texts[key]) this.flip(line.cells[key], before !== undefined, texts[key]);
    }
    if (statusChanged) {
      line.cells.status.className = `status ${server.status}`;
      this.flip(line.cells.status, before !== undefined, icon('0 0 14 14', { d: SHAPES[server.status] }), el('span', { class: 'word' }, texts.status));
    }
    if (before?.pilots !== texts.pilots || before.people !== texts.people) {
      this.flip(line.cells.pilots, before !== undefined, texts.pilots, el('span', { class: 'aside' }, texts.people));
    }
    line.cells.latency.title = server.latency === 'measured' ? 'Measured from here' : 'Estimated from the distance';
  }

  private flip(cell: HTMLTableCellElement, animate: boolean, ...content: (Node | string)[]): void {
    const flap = el('span', { class: 'flap' }, ...content);
    cell.replaceChildren(flap);
    if (!animate) return;
    const from = prefersReducedMotion() ? { opacity: 0 } : { opacity: 0.2, transform: 'rotateX(-88deg)' };
    flap.animate([from, { opacity: 1, transform: 'none' }], { duration: FLIP_MS, easing: 'cubic-bezier(.2,.9,.3,1)' });
  }

  private addLine(instance: string): Line {
    const cell = (name: string): HTMLTableCellElement => el('td', { role: 'gridcell', class: name });
    const cells = { code: cell('code'), place: cell('place'), status: cell('status'), pilots: cell('pilots number'), latency: cell('latency number') };
    const row = el('tr', { role: 'row', 'data-instance': instance }, ...Object.values(cells));
    row.addEventListener('click', () => {
      this.choose(instance);
      this.onFly();
    });
    const line = { row, cells, shown: undefined, status: undefined };
    this.lines.set(instance, line);
    return line;
  }

  private choose(instance: string): void {
    this.isTouched = true;
    this.chosen = instance;
    for (const [key, line] of this.lines) {
      line.row.setAttribute('aria-selected', String(key === instance));
      line.row.tabIndex = key === instance ? 0 : -1;
    }
    this.onChoose(this.selected);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return this.onFly();
    }
    this.onArrow(event);
  }

  /** Arrow keys, Home and End move the selection; true if this event did. */
  onArrow(event: KeyboardEvent): boolean {
    const last = this.servers.length - 1;
    const at = this.servers.findIndex((server) => server.instance === this.chosen);
    const targets: Record<string, number> = { ArrowDown: Math.min(last, at + 1), ArrowUp: Math.max(0, at - 1), Home: 0, End: last };
    const next = this.servers[targets[event.key] ?? -1];
    if (next === undefined) return false;
    event.preventDefault();
    this.choose(next.instance);
    this.focus();
    return true;
  }

  private keepOrder(servers: readonly Server[]): Server[] {
    const place = new Map(this.servers.map((server, index) => [server.instance, index]));
    const rank = (server: Server): number => place.get(server.instance) ?? this.servers.length;
    return ordered(servers).sort((a, b) => rank(a) - rank(b));
  }

  private texts(server: Server, now: number): RowTexts {
    return rowTexts(server, now - (this.wakingSince.get(server.instance) ?? now));
  }

  private showEmpty(sentence: string): void {
    this.body.replaceChildren(el('tr', { class: 'empty', role: 'row' }, el('td', { role: 'gridcell', colspan: '5' }, sentence)));
  }
}

function isNumber(title: string): boolean {
  return title === 'Pilots' || title === 'Latency';
}
