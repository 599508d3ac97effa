// What lies over the picture now and then: the curtain while we come in, the panel after a loss, the hint of controls.
import { byId, setText } from '../../shared/dom';
import { TICK_HZ } from '../ticks';
import { giveBack } from '../focus';

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
