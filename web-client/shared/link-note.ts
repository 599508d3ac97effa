// One sentence about the link; with a button and the way to the lobby when only a person can go on. The page has the elements `link-*`.
import { byId, setText } from './dom';

export class LinkNote {
  private readonly note = byId('link-state');
  private readonly button = byId('link-again');

  constructor(onComeBack: () => void) {
    this.button.addEventListener('click', onComeBack);
  }

  get isShown(): boolean {
    return !this.note.hidden;
  }

  /** `again`: what the button says; without, it goes on by itself. */
  show(sentence: string, again?: string): void {
    this.note.hidden = sentence === '';
    this.note.classList.toggle('stopped', again !== undefined);
    setText(byId('link-text'), sentence);
    setText(this.button, again ?? '');
  }
}
