// What lies over the picture now and then: the curtain while we come in, trouble with the link, the panel after a loss,
// the hint of controls, and the dialog of call sign and colour.
import { byId, setText } from '../../shared/dom';
import { NAME_MAX_BYTES } from '../../shared/generated/protocol';
import { TICK_HZ } from '../ticks';
import { hueChooser, planeIcon } from '../../shared/hue-chooser';
import { tidyCallSign } from '../../shared/callsigns';
import type { Me } from '../../shared/me';
import { hueOf } from '../../shared/palette';
import { closeDialog, giveBack } from '../focus';

const HELP_MS = 14_000;

/** Covers the stage until there is something to see. */
export class Curtain {
  private readonly curtain = byId('curtain');
  private isLifted = false;

  /** `isOver`: nothing goes on by itself, and the note above the picture says why. */
  say(sentence: string, isOver: boolean): void {
    setText(byId('curtain-text'), isOver ? '' : sentence);
    this.curtain.classList.toggle('over', isOver);
  }

  lift(): void {
    if (this.isLifted) return;
    this.isLifted = true;
    this.curtain.classList.add('gone');
  }
}

/** One sentence about the link; with a button and the way to the lobby when only a person can go on. */
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

/** Who it was, with what, and the way back into the air. */
export class DownPanel {
  private readonly panel = byId('down');
  private readonly button = byId<HTMLButtonElement>('again');
  private isAsked = false;

  constructor(private readonly onAgain: () => void) {
    this.button.addEventListener('click', () => this.again());
  }

  get isOpen(): boolean {
    return !this.panel.hidden;
  }

  open(sentence: string): void {
    setText(byId('down-text'), sentence);
    this.panel.hidden = false;
    this.offer();
  }

  /** The button works (again): what was asked for over a connection that is lost may not have arrived. */
  offer(): void {
    this.isAsked = false;
    this.button.disabled = false;
    setText(this.button, 'Fly again');
  }

  close(): void {
    giveBack(this.panel);
    this.panel.hidden = true;
  }

  /** `respawnTicks`: until the announced return, or -1. */
  update(respawnTicks: number): void {
    if (!this.isOpen || respawnTicks < 0) return;
    this.button.disabled = true;
    setText(this.button, `Back in ${(respawnTicks / TICK_HZ).toFixed(1)} s`);
  }

  again(): void {
    if (!this.isOpen || this.isAsked) return;
    this.isAsked = true;
    // A disabled button that keeps the focus swallows keys.
    giveBack(this.panel);
    this.button.disabled = true;
    setText(this.button, 'Rolling out');
    this.onAgain();
  }
}

/** The controls in one line, for the first moments. */
export function showHelpForAWhile(): void {
  setTimeout(() => byId('help').classList.add('gone'), HELP_MS);
}

/** The own name opens a small dialog. */
export class RenameDialog {
  private readonly dialog = byId<HTMLDialogElement>('rename');
  private readonly name = byId<HTMLInputElement>('rename-name');
  private readonly setHue: (hue: number) => void;
  private hue: number;

  constructor(
    private readonly me: Me,
    onChange: () => void,
  ) {
    this.hue = me.hue;
    this.name.maxLength = NAME_MAX_BYTES;
    this.setHue = hueChooser(byId('rename-hues'), me.hue, (hue) => (this.hue = hue));
    this.draw();
    byId('me').addEventListener('click', () => this.open());
    byId('rename-cancel').addEventListener('click', () => closeDialog(this.dialog));
    byId('rename-form').addEventListener('submit', (event) => {
      event.preventDefault();
      closeDialog(this.dialog);
      me.name = tidyCallSign(this.name.value) || me.name;
      me.hue = this.hue;
      this.draw();
      onChange();
    });
  }

  draw(): void {
    setText(byId('me-name'), this.me.name);
    byId('me').setAttribute('aria-label', `You are ${this.me.name}. Change call sign and colour.`);
    byId('me-icon').replaceChildren(planeIcon(hueOf(this.me.hue)));
  }

  private open(): void {
    this.name.value = this.me.name;
    this.hue = this.me.hue;
    this.setHue(this.hue);
    // A dialog hands the focus back to where it was.
    giveBack();
    this.dialog.showModal();
  }
}
