// Who sees what: a client's view holds what is in the 25 cells around its own plane's cell.
//
// Path: `put`, `move` and `drop` say where a thing is; `look` says from which cell a view looks. Views are only touched
// when a cell changes.
// Invariant: of things that move (planes) a view holds exactly those in sight; of bullets, which live for half a second,
// also those that have flown out of sight.
import { CELL, SEEN_CELLS } from './rules.js';

/** Something that can be seen: `row` is its schema instance. */
export class Thing {
  constructor(row, isBrief) {
    this.row = row;
    /** Ends by itself soon: not worth taking out of a view. */
    this.isBrief = isBrief;
    this.cell = -1;
  }
}

export class Interest {
  constructor(cells) {
    this.cells = cells;
    this.things = Array.from({ length: cells * cells }, () => new Set());
    this.views = Array.from({ length: cells * cells }, () => new Set());
    /** The cells seen from each cell; who is seen sees as well. */
    this.seen = this.things.map((_, cell) => this.around(cell));
  }

  cellAt(x, y) {
    const last = this.cells - 1;
    return Math.min(last, Math.floor(y / CELL)) * this.cells + Math.min(last, Math.floor(x / CELL));
  }

  around(cell) {
    const column = cell % this.cells;
    const row = Math.floor(cell / this.cells);
    const seen = [];
    for (let y = Math.max(0, row - SEEN_CELLS); y <= Math.min(this.cells - 1, row + SEEN_CELLS); y += 1) {
      for (let x = Math.max(0, column - SEEN_CELLS); x <= Math.min(this.cells - 1, column + SEEN_CELLS); x += 1) {
        seen.push(y * this.cells + x);
      }
    }
    return seen;
  }

  sees(eye, cell) {
    const columns = Math.abs((eye % this.cells) - (cell % this.cells));
    const rows = Math.abs(Math.floor(eye / this.cells) - Math.floor(cell / this.cells));
    return columns <= SEEN_CELLS && rows <= SEEN_CELLS;
  }

  put(thing, cell) {
    thing.cell = cell;
    this.things[cell].add(thing);
    for (const eye of this.seen[cell]) {
      for (const view of this.views[eye]) view.add(thing.row);
    }
  }

  move(thing, to) {
    const from = thing.cell;
    if (from === to) return;
    thing.cell = to;
    this.things[from].delete(thing);
    this.things[to].add(thing);
    for (const eye of this.seen[to]) {
      if (this.sees(eye, from)) continue;
      for (const view of this.views[eye]) add(view, thing);
    }
    if (thing.isBrief) return;
    for (const eye of this.seen[from]) {
      if (this.sees(eye, to)) continue;
      for (const view of this.views[eye]) view.remove(thing.row);
    }
  }

  /** The thing is gone from the state, which takes it out of all views. */
  drop(thing) {
    this.things[thing.cell].delete(thing);
  }

  /** The view looks from `to` from now on; `from` is -1 for a new one. */
  look(view, from, to) {
    if (from === to) return;
    if (from !== -1) this.views[from].delete(view);
    this.views[to].add(view);
    for (const cell of this.seen[to]) {
      if (from !== -1 && this.sees(from, cell)) continue;
      for (const thing of this.things[cell]) add(view, thing);
    }
    if (from === -1) return;
    for (const cell of this.seen[from]) {
      if (this.sees(to, cell)) continue;
      for (const thing of this.things[cell]) {
        if (!thing.isBrief) view.remove(thing.row);
      }
    }
  }

  forget(view, eye) {
    this.views[eye].delete(view);
  }
}

/** A brief thing may be in the view since before; planes never are. */
function add(view, thing) {
  if (!thing.isBrief || !view.has(thing.row)) view.add(thing.row);
}
