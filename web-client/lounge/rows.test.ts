import { describe, expect, it } from 'vitest';
import type { ShownLine } from './feed';
import { rowsOf, type Row } from './rows';

const NOON = new Date(2026, 10, 28, 12, 0);
const OPTIONS = { hueOf: (member: number) => member % 8, member: 7, nowMs: NOON.getTime(), locale: 'en-GB' };
const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

function line(key: string, member: number, agoS: number, name = `Member ${member}`): ShownLine {
  return { key, entry: 1, member, name, text: key, at_s: NOON.getTime() / 1000 - agoS };
}

const told = (rows: readonly Row[]): string[] =>
  rows.map((row) => (row.kind === 'line' ? `${row.isFirst ? `${row.name} ${row.time}: ` : ''}${row.text}` : `[${row.text}]`));

describe('the rows of the log', () => {
  it('name the author once for lines that belong together', () => {
    const rows = rowsOf([line('a', 1, 600), line('b', 1, 590), line('c', 2, 580), line('d', 1, 570), line('e', 1, 0)], OPTIONS);
    expect(told(rows)).toEqual(['[Today]', 'Member 1 11:50: a', 'b', 'Member 2 11:50: c', 'Member 1 11:50: d', 'Member 1 12:00: e']);
  });

  it('name it again after a change of name, and after a notice', () => {
    const rows = rowsOf([line('a', 1, 9, 'Ada'), line('b', 1, 8, 'Ada Lovelace'), { ...line('c', 0, 7), text: 'Saved again.' }, line('d', 1, 6, 'Ada Lovelace')], OPTIONS);
    expect(told(rows).slice(1)).toEqual(['Ada 11:59: a', 'Ada Lovelace 11:59: b', '[Saved again.]', 'Ada Lovelace 11:59: d']);
  });

  it('say which day it is, in words where it is near', () => {
    const rows = rowsOf([line('a', 1, 400 * DAY), line('b', 1, 3 * DAY), line('c', 1, DAY), line('d', 1, 13 * 60 * MINUTE), line('e', 1, 0)], OPTIONS);
    // Whether a comma stands behind the weekday is the platform's.
    const days = told(rows).filter((row) => row.startsWith('['));
    expect(days.map((day) => day.replace(',', ''))).toEqual(['[Friday 24 October 2025]', '[Wednesday 25 November]', '[Yesterday]', '[Today]']);
  });

  it('know the own lines and what became of them', () => {
    const [, row] = rowsOf([{ ...line('a', 7, 0), state: 'declined', reason: 'Slow down.' }], OPTIONS);
    expect(row).toMatchObject({ isOwn: true, hue: 7, state: 'declined', reason: 'Slow down.' });
  });
});
