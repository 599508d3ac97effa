// The numbers of the game: those of assets/tuning.ron, converted to the same integers as in `game::rules`.
// Invariant: rules.json has the numbers of `game::rules::Rules::default()`, in the same order; a test of `bench` compares them.
import { readFileSync } from 'node:fs';

const shipped = JSON.parse(readFileSync(new URL('../rules.json', import.meta.url), 'utf8'));

/** A plane is so many units long. */
export const LENGTH = 2048;
/** Side of a cell of the grid of interest: 8 plane lengths. */
export const CELL = 8 * LENGTH;
/** A full turn of a heading. */
export const TURN = 65_536;
export const TICKS_PER_S = 60;
/** Cells seen in every direction around the own one: 25 in all. */
export const SEEN_CELLS = 2;

/** The shipped rules on a field of so many cells a side. */
export function rulesFor(cells) {
  return { ...shipped, field_cells: cells, side: cells * CELL };
}
