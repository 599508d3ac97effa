// The kill feed: the last few, own ones marked, fading by themselves.
import { byId, el } from '../../shared/dom';

const LINES_MAX = 5;
const FADE_AFTER_MS = 6_000;
const REMOVE_AFTER_MS = 7_000;

export interface Kill {
  killerName: string;
  victimName: string;
  rammed: boolean;
  isMine: boolean;
}

export class KillFeed {
  private readonly list = byId('kills');

  add({ killerName, victimName, rammed, isMine }: Kill): void {
    const line = el(
      'li',
      { class: isMine ? 'mine' : '' },
      killerName,
      el('span', { class: 'how' }, rammed ? ' rammed ' : ' shot down '),
      victimName,
    );
    this.list.prepend(line);
    while (this.list.children.length > LINES_MAX) this.list.lastChild?.remove();
    setTimeout(() => line.classList.add('old'), FADE_AFTER_MS);
    setTimeout(() => line.remove(), REMOVE_AFTER_MS);
  }
}
