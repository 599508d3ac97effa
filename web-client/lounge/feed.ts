// The lines of the room as this page knows them, and what became of those that were said here.
//
// Path: `say` puts a line at the end → the room takes it, and it becomes the line of the log that it is; or declines it.
// Invariants: lines of the log stand in the order of their entries, each once; what is not taken yet comes after them.
// Never: the DOM, a clock, a socket.
import type { ChatLine } from '../shared/session';

/** Lines that are shown. Policy: the oldest go; the room has more. */
export const LINES_MAX = 200;

/** Of an own line: on its way, in the log, outliving the server, or refused by the room. */
export type OwnState = 'sending' | 'sent' | 'kept' | 'declined';

export interface ShownLine extends ChatLine {
  /** Its own among all lines. */
  key: string;
  state?: OwnState;
  /** Why it was declined. */
  reason?: string;
}

/** What was said here and is not in the log yet. */
interface Unsettled {
  id: number;
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

  /** Let in as this member. `history`: what was said before; without, what is shown still holds. */
  welcome(me: { member: number; name: string }, history: readonly ChatLine[] | undefined): void {
    this.me = { ...me };
    if (history !== undefined) this.lines = history.map(lineOf).slice(-LINES_MAX);
    const newest = this.newest;
    this.unsettled = this.unsettled.filter(({ entry }) => entry === undefined || entry > newest);
  }

  /** Somebody has another name now. */
  rename(name: string): void {
    this.me.name = name;
  }

  say(id: number, text: string, at_s: number): void {
    this.unsettled.push({ id, text, at_s });
  }

  add(line: ChatLine): void {
    if (line.entry <= this.newest) return;
    const at = line.member === this.me.member ? this.settledBy(line) : -1;
    if (at >= 0) this.unsettled.splice(at, 1);
    this.push(lineOf(line));
  }

  /** A notice of the room itself; in no log. */
  notice(text: string, at_s: number): void {
    this.notices += 1;
    this.push({ key: `notice-${this.notices}`, entry: 0, member: 0, name: '', text, at_s });
  }

  /** `entry`: its place in the log; 0 if nobody knows which line of the log it is. */
  taken(id: number, entry: number): void {
    const own = this.unsettled.find((one) => one.id === id);
    if (own === undefined) return;
    own.entry = entry;
    if (entry === 0 || this.lines.some((line) => line.entry === entry)) this.forget(id);
  }

  /** What the line said, if it was one; it stays until it is forgotten. */
  declined(id: number, sentence: string): string | undefined {
    const own = this.unsettled.find((one) => one.id === id);
    if (own === undefined) return undefined;
    own.reason = sentence;
    return own.text;
  }

  /** A line that was declined, by its key: gone, and what it said. */
  takeBack(key: string): string | undefined {
    const own = this.unsettled.find(({ id, reason }) => reason !== undefined && key === keyOf(id));
    if (own !== undefined) this.forget(own.id);
    return own?.text;
  }

  forget(id: number): void {
    this.unsettled = this.unsettled.filter((own) => own.id !== id);
  }

  kept(entry: number): void {
    this.keptEntry = Math.max(this.keptEntry, entry);
  }

  /** What was said here and may never have come to the room. */
  get unsent(): string[] {
    return this.unsettled.filter(({ entry }) => entry === undefined).map(({ text }) => text);
  }

  /** Which line that was said here this one is: by its number, or, if that is not told yet, by what it says. */
  private settledBy(line: ChatLine): number {
    const byNumber = this.unsettled.findIndex(({ entry }) => entry === line.entry);
    if (byNumber >= 0) return byNumber;
    return this.unsettled.findIndex(({ entry, reason, text }) => entry === undefined && reason === undefined && text === line.text);
  }

  private get newest(): number {
    return this.lines.findLast(({ entry }) => entry > 0)?.entry ?? 0;
  }

  private push(line: ShownLine): void {
    this.lines = [...this.lines, line].slice(-LINES_MAX);
  }

  private isMine({ member }: ChatLine): boolean {
    return member !== 0 && member === this.me.member;
  }

  private stateOf({ entry }: ChatLine): OwnState {
    return entry <= this.keptEntry ? 'kept' : 'sent';
  }

  private unsettledLine({ id, text, at_s, entry, reason }: Unsettled): ShownLine {
    const line = { key: keyOf(id), entry: 0, member: this.me.member, name: this.me.name, text, at_s };
    if (reason !== undefined) return { ...line, state: 'declined', reason };
    return { ...line, state: entry === undefined ? 'sending' : 'sent' };
  }
}

function lineOf({ entry, member, name, text, at_s }: ChatLine): ShownLine {
  return { key: `line-${entry}`, entry, member, name, text, at_s };
}

function keyOf(id: number): string {
  return `own-${id}`;
}
