// Links for others, in a small dialog: to come along, to look on, and for the host's own other browsers. The page has the
// elements `share*`.
import { byId, setText } from './dom';
import type { RoomLocation } from './link/room-location';
import { isAlias, isPrivate } from './room-address';
import { hostLink, readerPath } from './share';

const COPIED = 'Copied.';
const COPY_IT = 'Copy it from here.';

export class ShareDialog {
  private readonly dialog = byId<HTMLDialogElement>('share');
  private readonly link = byId<HTMLInputElement>('share-link');

  constructor(
    private readonly room: Pick<RoomLocation, 'place' | 'hostProof'>,
    /** Where the keys go before it opens and when it is closed; a dialog hands the focus back to where it was. */
    private readonly giveBack: () => void = () => undefined,
  ) {
    byId('share-open').addEventListener('click', () => this.open());
    byId('share-close').addEventListener('click', () => this.close());
    this.offer('share-invite', async () => this.here);
    this.offer('share-read', async () => new URL(await readerPath(room.place), location.origin).href);
    this.offer('share-host', async () => hostLink(this.here, room.hostProof.token ?? ''));
  }

  /** The page's own address, as it stands for friends. */
  private get here(): string {
    const { instance, room } = this.room.place;
    return `${location.origin}/gameserver/${instance}/${room}`;
  }

  private open(): void {
    const { room } = this.room.place;
    setText(byId('share-invite'), isAlias(room) ? 'Copy this link to look on' : 'Copy the link to come along');
    byId('share-read').hidden = !isPrivate(room);
    byId('share-host').hidden = this.room.hostProof.token === undefined;
    this.tell('', '');
    this.giveBack();
    this.dialog.showModal();
  }

  private offer(id: string, link: () => Promise<string>): void {
    byId(id).addEventListener('click', () => void link().then((text) => this.copy(text), (error: Error) => this.tell('', error.message)));
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
    setText(byId('share-told'), sentence);
  }

  private close(): void {
    this.dialog.close();
    this.giveBack();
  }
}
