// The lines of the room as this page knows them, and what became of those that were said here.
//
// Path: `say` puts a line at the end → the room takes it, and it becomes the line of the log that it is; or declines it.
// Invariants: lines of the log stand in the order of their numbers, each once; what is not taken yet comes after them.
// Never: the DOM, a clock, a socket.
import type { Line } from './client-event';

/** Lines that are shown. Policy: the oldest go; the room has more. */
export const LINES_MAX = 200;

/** Of an own line: on its way, in the log, outliving the server, or refused by the room. */
export type OwnState = 'sending' | 'sent' | 'kept' | 'declined';

export interface ShownLine extends Line {
  /** Its own among all lines. */
  key: string;
  state?: OwnState;
  /** Why it was declined. */
  reason?: string;
}

/** What was said here and is not in the log yet. */
interface Unsettled {
  operation: number;
  text: string;
  at_s: number;
  /** Its place in the log, once the room took it. */
  entry?: number;
  reason?: string;
}

export class Feed {
  private lines: ShownLine[] = [];
  private unsettled: Unsettled[] = [];
  private keptEntry = 0;
  private notices = 0;
  private me = { member: 0, name: '' };

  /** What to show, in order. */
  get shown(): readonly ShownLine[] {
    const settled = this.lines.map((line) => (this.isMine(line) ? { ...line, state: this.stateOf(line) } : line));
    return [...settled, ...this.unsettled.map((own) => this.unsettledLine(own))];
  }

  /** Let in as this member. What was on its way as another one is declined: nobody knows of it any more. */
  welcome(me: { member: number; name: string }, isResumed: boolean, history: readonly Line[] | undefined): void {
    this.me = { ...me };
    if (history !== undefined) this.lines = history.map(lineOf).slice(-LINES_MAX);
    const newest = this.lines.at(-1)?.number ?? 0;
    this.unsettled = this.unsettled.filter(({ entry }) => entry === undefined || (isResumed && entry > newest));
    if (isResumed) return;
    for (const own of this.unsettled) own.reason ??= 'You came back as somebody new, and this line did not come along.';
  }

  /** Somebody has another name now. */
  rename(name: string): void {
    this.me.name = name;
  }

  say(operation: number, text: string, at_s: number): void {
    this.unsettled.push({ operation, text, at_s });
  }

  add(line: Line): void {
    const newest = this.lines.findLast(({ number }) => number > 0)?.number ?? 0;
    if (line.number <= newest) return;
    const at = line.member === this.me.member ? this.settledBy(line) : -1;
    if (at >= 0) this.unsettled.splice(at, 1);
    this.push(lineOf(line));
  }

  /** A notice of the room itself; in no log. */
  notice(text: string, at_s: number): void {
    this.notices += 1;
    this.push({ key: `notice-${this.notices}`, number: 0, member: 0, name: '', text, at_s });
  }

  taken(operation: number, entry: number): void {
    const own = this.unsettled.find((one) => one.operation === operation);
    if (own === undefined) return;
    own.entry = entry;
    if (this.lines.some(({ number }) => number === entry)) this.forget(operation);
  }

  /** What the line said, if it was one; it stays until it is forgotten. */
  declined(operation: number, sentence: string): string | undefined {
    const own = this.unsettled.find((one) => one.operation === operation);
    if (own === undefined) return undefined;
    own.reason = sentence;
    return own.text;
  }

  /** A line that was declined, by its key: gone, and what it said. */
  takeBack(key: string): string | undefined {
    const own = this.unsettled.find(({ operation, reason }) => reason !== undefined && key === keyOf(operation));
    if (own !== undefined) this.forget(own.operation);
    return own?.text;
  }

  forget(operation: number): void {
    this.unsettled = this.unsettled.filter((own) => own.operation !== operation);
  }

  kept(entry: number): void {
    this.keptEntry = Math.max(this.keptEntry, entry);
  }

  /** What was said here and may never have come to the room. */
  get unsent(): string[] {
    return this.unsettled.filter(({ entry }) => entry === undefined).map(({ text }) => text);
  }

  /** Which line that was said here this one is: by its number, or, if that is not told yet, by what it says. */
  private settledBy(line: Line): number {
    const byNumber = this.unsettled.findIndex(({ entry }) => entry === line.number);
    if (byNumber >= 0) return byNumber;
    return this.unsettled.findIndex(({ entry, reason, text }) => entry === undefined && reason === undefined && text === line.text);
  }

  private push(line: ShownLine): void {
    this.lines = [...this.lines, line].slice(-LINES_MAX);
  }

  private isMine({ member }: Line): boolean {
    return member !== 0 && member === this.me.member;
  }

  private stateOf({ number }: Line): OwnState {
    return number <= this.keptEntry ? 'kept' : 'sent';
  }

  private unsettledLine({ operation, text, at_s, entry, reason }: Unsettled): ShownLine {
    const line = { key: keyOf(operation), number: 0, member: this.me.member, name: this.me.name, text, at_s };
    if (reason !== undefined) return { ...line, state: 'declined', reason };
    return { ...line, state: entry === undefined ? 'sending' : 'sent' };
  }
}

function lineOf({ number, member, name, text, at_s }: Line): ShownLine {
  return { key: `line-${number}`, number, member, name, text, at_s };
}

function keyOf(operation: number): string {
  return `own-${operation}`;
}
