// Listens to keyboard, mouse and touch, passes them on to `InputState`, and knows whether anybody is there to fly.
//
// Path: events of the window (before anybody can stop them) → `InputState` → `update`, once a frame.
// Invariant: what may keep a release from coming (another window, a hidden page, a menu, a drag, a field that is typed
// into) lets go of everything at once, and says so.
import { BOOST, FIRE, NEUTRAL_CONTROLS, type WantedControls } from './controls';
import { giveBack, isAsleep, isForPlane, ownerOf } from './focus';
import { InputState } from './input-state';
import type { TouchPad } from './touch';

export interface InputOptions {
  /** Any use of a device. */
  onGesture(): void;
  /** Everything was let go at once, perhaps without a picture to come. */
  onLetGo(): void;
}

/** By `PointerEvent.button`: its bit in `buttons`. */
const BUTTON_BITS = [FIRE, 4, BOOST, 8, 16] as const;

export class Input {
  private readonly state: InputState;
  /** Another window has the keys. */
  private isElsewhere = false;

  constructor(
    private readonly pad: TouchPad,
    private readonly options: InputOptions,
  ) {
    this.state = new InputState(pad.thumbs);
    addEventListener('keydown', (event) => this.onKeyDown(event), true);
    addEventListener('keyup', (event) => this.onKeyUp(event), true);
    for (const type of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel', 'lostpointercapture'] as const) {
      addEventListener(type, (event) => this.onPointer(event), true);
    }
    addEventListener('contextmenu', (event) => this.onMenu(event), true);
    // Touches as they are, whatever single ones reported.
    for (const type of ['touchend', 'touchcancel'] as const) addEventListener(type, (event) => this.onTouchEnd(event), true);
    document.documentElement.addEventListener('pointerleave', ({ pointerType }) => {
      if (pointerType !== 'touch') this.state.mouseOut();
    });
    this.watchLeaving();
  }

  /** The controls wanted now. `planeX`, `planeY`: where the own plane is drawn, in CSS pixels. */
  update(now: number, planeX: number, planeY: number): Readonly<WantedControls> {
    return this.isAway ? NEUTRAL_CONTROLS : this.state.update(now, planeX, planeY);
  }

  private get isAway(): boolean {
    return this.isElsewhere || document.hidden || isAsleep();
  }

  private watchLeaving(): void {
    addEventListener('focus', () => (this.isElsewhere = false));
    addEventListener('blur', () => {
      this.isElsewhere = true;
      this.letGo();
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.letGo();
    });
    addEventListener('focusin', ({ target }) => {
      if (ownerOf(target) === 'field') this.letGo();
    });
    addEventListener('pagehide', () => this.letGo());
    addEventListener('dragstart', () => this.letGo());
    for (const type of ['freeze', 'fullscreenchange']) document.addEventListener(type, () => this.letGo());
    // Turned round, the glass has its buttons elsewhere.
    matchMedia('(orientation: portrait)').addEventListener('change', () => this.letGo());
  }

  private letGo(): void {
    this.state.letGo();
    this.pad.draw();
    this.options.onLetGo();
  }

  private onKeyDown(event: KeyboardEvent): void {
    const { state } = this;
    this.isElsewhere = false;
    // While it is down, macOS tells of no other key's release.
    if (event.key === 'Meta') return state.releaseKeys();
    if (!event.shiftKey) state.shiftIsUp();
    if (event.ctrlKey || event.metaKey || event.altKey || !isForPlane(event) || !state.knows(event.code)) return;
    event.preventDefault();
    this.options.onGesture();
    if (!event.repeat) state.keyDown(event.code, performance.now());
  }

  private onKeyUp(event: KeyboardEvent): void {
    if (event.key === 'Meta') this.state.releaseKeys();
    else this.state.keyUp(event.code);
  }

  private onPointer(event: PointerEvent): void {
    const isPress = event.type === 'pointerdown' && this.pad.has(event.target);
    if (event.type === 'pointerdown') this.isElsewhere = false;
    if (isPress) giveBack();
    if (isPress || event.type === 'pointerup') this.options.onGesture();
    if (event.pointerType === 'touch') this.onTouch(event, isPress);
    else this.onMouse(event);
  }

  private onMouse(event: PointerEvent): void {
    const { type, button, clientX: x, clientY: y } = event;
    // A second button comes as a move; only the first one is a `pointerdown`.
    const pressed = type === 'pointerdown' || type === 'pointermove' ? (BUTTON_BITS[button] ?? 0) : 0;
    const isOnField = this.pad.has(event.target) && !this.isAway;
    this.state.mouse({ x, y, buttons: type === 'pointercancel' ? 0 : event.buttons, pressed, isOnField });
  }

  private onTouch(event: PointerEvent, isPress: boolean): void {
    const { state, pad } = this;
    const { type, pointerId, clientX, clientY } = event;
    if (isPress) {
      event.preventDefault();
      pad.show();
      state.thumbDown(pointerId, clientX, clientY, event.isPrimary);
    } else if (type === 'pointermove') pad.thumbs.move(pointerId, clientX, clientY);
    else if (type !== 'pointerdown') pad.thumbs.up(pointerId);
    pad.draw();
  }

  private onTouchEnd(event: TouchEvent): void {
    if (event.touches.length > 0) return;
    this.pad.thumbs.lift();
    this.pad.draw();
  }

  /** A menu swallows what follows, unless it is kept from opening. */
  private onMenu(event: MouseEvent): void {
    if (this.pad.has(event.target)) event.preventDefault();
    else this.letGo();
  }
}
