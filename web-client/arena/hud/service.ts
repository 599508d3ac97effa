// One small sentence while something is wrong, so that nobody blames the wrong one for it.
import type { Cause } from './diagnosis';

/** For people; empty while all is well. */
export const SENTENCES: Readonly<Record<Exclude<Cause, 'paused server'>, string>> = {
  none: '',
  'slow server': 'The server is very busy: time runs slower for everybody.',
  silence: 'Nothing comes from the field right now: your plane flies on.',
  network: 'Your network is unsteady: news of others comes late.',
  'busy server': 'The server is busy: others move less smoothly.',
  device: 'Your device is slow: it draws too few pictures a second.',
};

/** What is to be read. `pausedMs`: how long a server that paused did. */
export function sentenceOf(cause: Cause, pausedMs: number): string {
  return cause === 'paused server' ? `The server paused for ${Math.max(0.1, pausedMs / 1000).toFixed(1)} s.` : SENTENCES[cause];
}

export class ServiceNote {
  private shown = '';

  constructor(private readonly note: Pick<HTMLElement, 'hidden' | 'textContent'>) {}

  show(cause: Cause, pausedMs = 0): void {
    const sentence = sentenceOf(cause, pausedMs);
    if (sentence === this.shown) return;
    this.shown = sentence;
    this.note.hidden = cause === 'none';
    this.note.textContent = sentence;
  }
}
