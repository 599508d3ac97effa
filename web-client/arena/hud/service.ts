// One small sentence while something is wrong, so that nobody blames the wrong one for it.
import type { Cause } from './truth';

/** For people; empty while all is well. */
export const SENTENCES: Readonly<Record<Cause, string>> = {
  none: '',
  'slow server': 'The server is very busy: time runs slower for everybody.',
  network: 'Your network is unsteady: news of others comes late.',
  'busy server': 'The server is busy: others move less smoothly.',
  device: 'Your device is slow: it draws too few pictures a second.',
};

export class ServiceNote {
  private shown: Cause = 'none';

  constructor(private readonly note: Pick<HTMLElement, 'hidden' | 'textContent'>) {}

  show(cause: Cause): void {
    if (cause === this.shown) return;
    this.shown = cause;
    this.note.hidden = cause === 'none';
    this.note.textContent = SENTENCES[cause];
  }
}
