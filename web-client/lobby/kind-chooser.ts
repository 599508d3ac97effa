// What one wants to go for: a radio button for each kind of room, with its name and a sentence. Of one kind there is no choice.
import { el } from '../shared/dom';
import type { Kind } from './regions';

export class KindChooser {
  private shown = '';

  /** Fills `into`, a fieldset; `onChoose` hears the kind's word. */
  constructor(
    private readonly into: HTMLElement,
    private readonly onChoose: (word: string) => void,
  ) {}

  show(kinds: readonly Kind[], chosen: string): void {
    this.into.hidden = kinds.length < 2;
    const shown = JSON.stringify(kinds);
    // Who is about to choose keeps the focus.
    if (shown === this.shown) return;
    this.shown = shown;
    this.into.replaceChildren(el('legend', { class: 'hidden-text' }, 'What would you like to do?'), ...kinds.map((kind) => this.option(kind, chosen)));
  }

  private option({ word, title, about }: Kind, chosen: string): HTMLLabelElement {
    const input = el('input', { type: 'radio', name: 'kind', value: word, 'aria-describedby': `about-${word}` });
    input.checked = word === chosen;
    input.addEventListener('change', () => this.onChoose(word));
    return el('label', { class: 'kind' }, input, el('span', { class: 'kind-title' }, title), el('span', { class: 'kind-about', id: `about-${word}` }, about));
  }
}
