// Reads out what is said, for those who cannot see the log, and never more than they can follow: one sentence at a time.
//
// The log itself is no live region: where many talk, a reader would fall behind for good.
import type { ChatLine } from '../shared/session';

/** Between two sentences. Policy: what came meanwhile is counted, and a line with the own name in it is read first. */
export const PAUSE_MS = 3_000;

export class Announcer {
  private waiting: ChatLine[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly say: (sentence: string) => void,
    private readonly ownName: () => string,
  ) {}

  /** Somebody else said this. */
  line(line: ChatLine): void {
    this.waiting.push(line);
    if (this.timer === undefined) this.speak();
  }

  private speak(): void {
    this.timer = undefined;
    if (this.waiting.length === 0) return;
    this.say(sentenceOf(this.waiting, this.ownName()));
    this.waiting = [];
    this.timer = setTimeout(() => this.speak(), PAUSE_MS);
  }
}

function sentenceOf(lines: readonly ChatLine[], ownName: string): string {
  const mention = lines.find(({ text }) => text.toLowerCase().includes(ownName.toLowerCase()));
  const told = mention ?? (lines.length === 1 ? lines[0] : undefined);
  const rest = told === undefined ? lines.length : lines.length - 1;
  const more = rest === 0 ? '' : rest === 1 ? 'One more line.' : `${rest} ${told === undefined ? 'new' : 'more'} lines.`;
  return told === undefined ? more : `${told.name}: ${told.text} ${more}`.trim();
}
