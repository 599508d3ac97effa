// Where a line is written. It never moves, and never loses what was typed: a line that cannot be said stays, with a sentence.
import { cutBytes } from '../shared/callsigns';
import { byId, setText } from '../shared/dom';
import { CHAT_MAX_BYTES } from '../shared/generated/protocol';

/** From here on what is left is told, bytes. */
const LEFT_TOLD_BYTES = 60;
const NOT_CONNECTED = 'You are not in the room yet. What you wrote stays here.';

export class Composer {
  private readonly text = byId<HTMLInputElement>('compose-text');
  private readonly button = byId<HTMLButtonElement>('compose-send');
  private readonly note = byId('compose-note');
  private readonly left = byId('compose-left');

  /** `onSay` is false if nothing can be said now. */
  constructor(private readonly onSay: (text: string) => boolean) {
    byId('compose').addEventListener('submit', (event) => {
      event.preventDefault();
      this.say();
    });
    this.text.addEventListener('input', () => {
      this.tell('');
      this.tellLeft();
    });
  }

  /** What is typed and not said. */
  get draft(): string {
    return this.text.value;
  }

  set draft(text: string) {
    this.text.value = text;
    this.tellLeft();
  }

  /** Or closed, for who only looks on. */
  open(isOpen: boolean): void {
    this.text.disabled = this.button.disabled = !isOpen;
    this.text.placeholder = isOpen ? 'Say something' : 'You are looking on';
  }

  focus(): void {
    this.text.focus({ preventScroll: true });
  }

  /** One sentence below what is typed, until something else is. */
  tell(sentence: string): void {
    setText(this.note, sentence);
  }

  private say(): void {
    const text = this.draft.trim();
    if (text === '') return;
    if (cutBytes(text, CHAT_MAX_BYTES) !== text) return this.tell('This is too long for one line. Take some words out, or say it in two.');
    if (!this.onSay(text)) return this.tell(NOT_CONNECTED);
    this.draft = '';
    this.tell('');
  }

  private tellLeft(): void {
    const left = CHAT_MAX_BYTES - new TextEncoder().encode(this.draft.trim()).length;
    setText(this.left, left > LEFT_TOLD_BYTES ? '' : String(left).replace('-', '−'));
    this.left.classList.toggle('over', left < 0);
  }
}
