// The own name opens a small dialog of call sign and colour. The page has the elements `me*` and `rename*`.
import { tidyCallSign } from './callsigns';
import { byId, setText } from './dom';
import { NAME_MAX_BYTES } from './generated/protocol';
import { hueChooser, planeIcon } from './hue-chooser';
import type { Me } from './me';
import { hueOf } from './palette';

export class RenameDialog {
  private readonly dialog = byId<HTMLDialogElement>('rename');
  private readonly name = byId<HTMLInputElement>('rename-name');
  private readonly setHue: (hue: number) => void;
  private hue: number;

  constructor(
    private readonly me: Me,
    onChange: () => void,
    /** Where the keys go before it opens and when it is closed; a dialog hands the focus back to where it was. */
    private readonly giveBack: () => void = () => undefined,
  ) {
    this.hue = me.hue;
    this.name.maxLength = NAME_MAX_BYTES;
    this.setHue = hueChooser(byId('rename-hues'), me.hue, (hue) => (this.hue = hue));
    this.draw();
    byId('me').addEventListener('click', () => this.open());
    byId('rename-cancel').addEventListener('click', () => this.close());
    byId('rename-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.close();
      me.name = tidyCallSign(this.name.value) || me.name;
      me.hue = this.hue;
      this.draw();
      onChange();
    });
  }

  draw(): void {
    setText(byId('me-name'), this.me.name);
    byId('me').setAttribute('aria-label', `You are ${this.me.name}. Change name and colour.`);
    byId('me-icon').replaceChildren(planeIcon(hueOf(this.me.hue)));
  }

  private open(): void {
    this.name.value = this.me.name;
    this.hue = this.me.hue;
    this.setHue(this.hue);
    this.giveBack();
    this.dialog.showModal();
  }

  private close(): void {
    this.dialog.close();
    this.giveBack();
  }
}
