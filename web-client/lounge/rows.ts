// What stands in the log, row by row: days, and lines with their author where it is not clear already. Pure.
import type { OwnState, ShownLine } from './feed';

/** Lines of one author within this stand under one name. */
const TOGETHER_MAX_S = 5 * 60;

export type Row =
  | { kind: 'day'; key: string; text: string }
  | { kind: 'notice'; key: string; text: string }
  | {
      kind: 'line';
      key: string;
      /** Name and time stand above it. */
      isFirst: boolean;
      isOwn: boolean;
      name: string;
      hue: number;
      /** For machines. */
      at: string;
      time: string;
      text: string;
      state?: OwnState;
      reason?: string;
    };

export interface RowsOptions {
  hueOf(member: number): number;
  /** The own member's number. */
  member: number;
  nowMs: number;
  locale?: string;
}

/** All rows for these lines. */
export function rowsOf(lines: readonly ShownLine[], options: RowsOptions): Row[] {
  const rows: Row[] = [];
  // Making one takes as long as writing a hundred times with it.
  const clock = new Intl.DateTimeFormat(options.locale, { hour: '2-digit', minute: '2-digit' });
  let before: ShownLine | undefined;
  for (const line of lines) {
    // A room that was told no time tells none.
    const isNewDay = line.at_s !== 0 && (before === undefined || dayOf(before.at_s) !== dayOf(line.at_s));
    if (isNewDay) rows.push({ kind: 'day', key: `day-${line.key}`, text: dayText(line.at_s, options) });
    rows.push(line.member === 0 ? { kind: 'notice', key: line.key, text: line.text } : lineRow(line, isNewDay || !isTogether(before, line), clock, options));
    before = line;
  }
  return rows;
}

function lineRow({ key, member, name, text, at_s, state, reason }: ShownLine, isFirst: boolean, clock: Intl.DateTimeFormat, { hueOf, member: own }: RowsOptions): Row {
  const date = new Date(at_s * 1000);
  const time = at_s === 0 ? '' : clock.format(date);
  const row = { kind: 'line', key, isFirst, isOwn: member === own, name, hue: hueOf(member), at: date.toISOString(), time, text } as const;
  return { ...row, ...(state === undefined ? {} : { state }), ...(reason === undefined ? {} : { reason }) };
}

function isTogether(before: ShownLine | undefined, line: ShownLine): boolean {
  return before !== undefined && before.member === line.member && before.name === line.name && line.at_s - before.at_s < TOGETHER_MAX_S;
}

/** Days are the reader's. */
function dayOf(at_s: number): string {
  return new Date(at_s * 1000).toDateString();
}

function dayText(at_s: number, { nowMs, locale }: RowsOptions): string {
  const [date, now] = [new Date(at_s * 1000), new Date(nowMs)];
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === now.toDateString()) return 'Today';
  if (date.toDateString() === yesterday.toDateString()) return 'Yesterday';
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: 'numeric' } as const);
  return date.toLocaleDateString(locale, { weekday: 'long', day: 'numeric', month: 'long', ...year });
}
