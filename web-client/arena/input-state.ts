// The state of all input devices, as a value: keys, mouse buttons and thumbs go in as events, the wanted controls come out.
// The device that was used last steers.
//
// Invariants: nothing is held without a press of its own, and every hold has a sure end: a key's own release, whatever
// other keys are down; what the next event of the mouse says of its buttons; a lifted thumb, or the next that is alone on
// the glass. `letGo` ends all of them; a repeated key does not bring them back.
// Never: the DOM (`input.ts` listens to it), a clock (milliseconds of any one origin are an argument).
import { actionOf, angleTo, BOOST, FIRE, NEUTRAL_CONTROLS, steerOf, throttleOf, THROTTLE_CRUISE, type Action, type WantedControls } from './controls';
import type { Thumbs } from './thumbs';

const POINTER_DEAD_ZONE_PX = 14;
/** Mouse moves smaller than this do not take the controls from the keyboard. */
const MOUSE_TAKES_OVER_PX = 6;

/** What one event reports of the mouse. */
export interface MouseReport {
  x: number;
  y: number;
  /** All that are down now, as in `MouseEvent.buttons`. */
  buttons: number;
  /** Those of them that went down by this very event. */
  pressed: number;
  /** Over the field, not over a tool. */
  isOnField: boolean;
}

export class InputState {
  private readonly wanted: WantedControls = { ...NEUTRAL_CONTROLS };
  /** By physical key: since when it is down. */
  private readonly keys = new Map<string, number>();
  private device: 'none' | 'keys' | 'mouse' | 'touch' = 'none';
  private mouseX = 0;
  private mouseY = 0;
  private movedPx = 0;
  /** A mask; only of presses that began on the field. */
  private mousePressed = 0;
  private isMouseOut = false;

  constructor(readonly thumbs: Thumbs) {}

  /** Whether the key flies the plane. */
  knows(code: string): boolean {
    return actionOf(code) !== undefined;
  }

  keyDown(code: string, now: number): void {
    const action = actionOf(code);
    if (action === undefined || this.keys.has(code)) return;
    this.keys.set(code, now);
    if (action === 'left' || action === 'right') this.take('keys');
  }

  keyUp(code: string): void {
    this.keys.delete(code);
  }

  /** Some systems tell of one release when both were let go, or of none. */
  shiftIsUp(): void {
    this.keys.delete('ShiftLeft');
    this.keys.delete('ShiftRight');
  }

  releaseKeys(): void {
    this.keys.clear();
  }

  mouse({ x, y, buttons, pressed, isOnField }: MouseReport): void {
    const begun = isOnField ? pressed : 0;
    this.isMouseOut = false;
    this.mousePressed = (this.mousePressed | begun) & buttons;
    if (!isOnField) return;
    this.movedPx += Math.abs(x - this.mouseX) + Math.abs(y - this.mouseY);
    this.mouseX = x;
    this.mouseY = y;
    if (this.isTurning()) return;
    if (this.movedPx > MOUSE_TAKES_OVER_PX || (begun & FIRE) !== 0) this.take('mouse');
  }

  /** Out of the window: nobody would tell of a release, so nothing is pressed until it is heard of again. */
  mouseOut(): void {
    this.isMouseOut = true;
  }

  thumbDown(id: number, x: number, y: number, isFirst: boolean): void {
    this.thumbs.down(id, x, y, isFirst);
    this.take('touch');
  }

  /** Everything, and nobody steers until a hand moves again. */
  letGo(): void {
    this.keys.clear();
    this.mousePressed = 0;
    this.thumbs.lift();
    this.take('none');
  }

  /** The controls wanted now. `planeX`, `planeY`: where the own plane is drawn, in CSS pixels. */
  update(now: number, planeX: number, planeY: number): Readonly<WantedControls> {
    const { wanted, thumbs } = this;
    const pressed = (this.isMouseOut ? 0 : this.mousePressed) | thumbs.pressed;
    wanted.fire = this.since('fire') !== undefined || (pressed & FIRE) !== 0;
    wanted.boost = this.since('boost') !== undefined || (pressed & BOOST) !== 0;
    const throttle = throttleOf(this.since('faster') !== undefined, this.since('slower') !== undefined);
    wanted.throttle = throttle === THROTTLE_CRUISE ? thumbs.throttle : throttle;
    const [left, right] = [this.since('left'), this.since('right')];
    wanted.steer = steerOf(left !== undefined, right !== undefined, now - (left ?? right ?? now));
    const angle = this.angle(planeX, planeY);
    wanted.mode = angle === undefined ? 'steer' : 'towards';
    wanted.angle = angle ?? 0;
    return wanted;
  }

  private angle(planeX: number, planeY: number): number | undefined {
    if (this.device === 'touch') return this.thumbs.angle;
    if (this.device === 'mouse') return angleTo(this.mouseX - planeX, this.mouseY - planeY, POINTER_DEAD_ZONE_PX);
    return undefined;
  }

  /** Since when the first of an action's keys is down; `undefined` while none is. */
  private since(action: Action): number | undefined {
    let first: number | undefined;
    for (const [code, at] of this.keys) if (actionOf(code) === action) first = Math.min(first ?? at, at);
    return first;
  }

  private isTurning(): boolean {
    return this.since('left') !== undefined || this.since('right') !== undefined;
  }

  private take(device: InputState['device']): void {
    if (device !== 'mouse') this.movedPx = 0;
    this.device = device;
  }
}
