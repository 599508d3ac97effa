// The chat panel: shows what was said and takes what is typed. Lines fade; the text field wakes and sleeps with the focus.
import { cutBytes } from '../callsigns';
import { byId, el } from '../dom';
import { CHAT_MAX_BYTES } from '../generated/protocol';
import { hueOf } from '../palette';
import type { ChatLine } from '../session';

const LINES_MAX = 100;
const FADE_AFTER_MS = 9_000;

export interface ChatPanelOptions {
  onSay(text: string): void;
  hueOf(member: number): number;
}

export class ChatPanel {
  private readonly section = byId('chat');
  private readonly list = byId('chat-lines');
  private readonly text = byId<HTMLInputElement>('chat-text');

  constructor(private readonly options: ChatPanelOptions) {
    // In characters, of which each is a byte at least; `say` cuts by bytes.
    this.text.maxLength = CHAT_MAX_BYTES;
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.say();
    });
    byId('chat-open').addEventListener('click', () => this.wake());
    this.text.addEventListener('focus', () => this.setAwake(true));
    this.text.addEventListener('blur', () => this.setAwake(false));
  }

  /** What is typed and not said. */
  get draft(): string {
    return this.text.value;
  }

  set draft(text: string) {
    this.text.value = text;
  }

  wake(): void {
    this.setAwake(true);
    this.text.focus();
  }

  /** What was said before we came; replaces what is shown. */
  history(lines: readonly ChatLine[]): void {
    this.list.replaceChildren(...lines.slice(-LINES_MAX).map((line) => this.line(line)));
    this.toNewest();
  }

  add(line: ChatLine): void {
    this.list.append(this.line(line));
    while (this.list.children.length > LINES_MAX) this.list.firstChild?.remove();
    this.toNewest();
  }

  /** A notice of the room itself. */
  notice(text: string): void {
    this.add({ entry: 0, member: 0, name: '', text, at_s: 0 });
  }

  private line({ member, name, text }: ChatLine): HTMLLIElement {
    const line = el('li', { class: member === 0 ? 'room-says' : '' });
    if (member !== 0) {
      const author = el('b', {}, name);
      author.style.color = hueOf(this.options.hueOf(member)).css;
      line.append(author);
    }
    line.append(text);
    setTimeout(() => line.classList.add('old'), FADE_AFTER_MS);
    return line;
  }

  private say(): void {
    const text = cutBytes(this.text.value.trim(), CHAT_MAX_BYTES);
    this.text.value = '';
    if (text !== '') this.options.onSay(text);
    this.text.blur();
  }

  private setAwake(isAwake: boolean): void {
    this.section.classList.toggle('awake', isAwake);
    this.toNewest();
  }

  private toNewest(): void {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
