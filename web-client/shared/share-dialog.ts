// Links for others, in a small dialog: to come along, to look on, and for the host's own other browsers.
import { el, setText } from './dom';
import type { RoomLocation } from './link/room-location';
import { isAlias, isPrivate } from './room-address';
import { hostLink, readerPath } from './share';

const COPIED = 'Copied.';
const COPY_IT = 'Copy it from here.';

export class ShareDialog {
  private readonly invite = this.offer('again', '', async () => this.here);
  private readonly read = this.offer('quiet-button', 'Copy a link only to look on', async () => new URL(await readerPath(this.room.place), location.origin).href);
  private readonly host = this.offer('quiet-button', 'Copy your host link', async () => hostLink(this.here, this.room.hostProof.token ?? ''));
  private readonly link = el('input', { class: 'text-field', 'aria-label': 'The link', readonly: true });
  private readonly told = el('p', { role: 'status' });
  private readonly dialog = el('dialog', { id: 'share', class: 'dialog', 'aria-labelledby': 'share-title' });

  constructor(
    private readonly room: Pick<RoomLocation, 'place' | 'hostProof'>,
    button: HTMLElement,
    /** Where the keys go before it opens and when it is closed; a dialog hands the focus back to where it was. */
    private readonly giveBack: () => void = () => undefined,
  ) {
    const close = el('button', { class: 'quiet-button', type: 'button' }, 'Close');
    close.addEventListener('click', () => this.close());
    const title = el('h2', { id: 'share-title' }, 'Links for others');
    this.dialog.append(title, this.invite, this.read, this.host, this.link, el('div', { class: 'row' }, close, this.told));
    document.body.append(this.dialog);
    button.addEventListener('click', () => this.open());
  }

  /** The page's own address, as it stands for friends. */
  private get here(): string {
    const { instance, room } = this.room.place;
    return `${location.origin}/gameserver/${instance}/${room}`;
  }

  private open(): void {
    const { room } = this.room.place;
    setText(this.invite, isAlias(room) ? 'Copy this link' : 'Copy the invite link');
    this.read.hidden = !isPrivate(room);
    this.host.hidden = this.room.hostProof.token === undefined;
    this.tell('', '');
    this.giveBack();
    this.dialog.showModal();
  }

  private offer(kind: string, words: string, link: () => Promise<string>): HTMLButtonElement {
    const button = el('button', { class: kind, type: 'button' }, words);
    button.addEventListener('click', () => void link().then((text) => this.copy(text), (error: Error) => this.tell('', error.message)));
    return button;
  }

  /** The link is shown, too: not every browser lets a page copy. */
  private async copy(text: string): Promise<void> {
    this.tell(text, COPY_IT);
    this.link.select();
    try {
      await navigator.clipboard.writeText(text);
      this.tell(text, COPIED);
    } catch {
      // It is there to be copied by hand.
    }
  }

  private tell(link: string, sentence: string): void {
    this.link.value = link;
    this.link.hidden = link === '';
    setText(this.told, sentence);
  }

  private close(): void {
    this.dialog.close();
    this.giveBack();
  }
}
