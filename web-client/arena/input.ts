// Keyboard, mouse and touch, merged into one wish; the device that was used last steers.
import { actionOf, angleTo, steerOf, throttleOf, type Action, type Wanted } from './controls';
import type { TouchPad } from './touch';

const POINTER_DEAD_ZONE_PX = 14;
/** Mouse moves smaller than this do not take the controls from the keyboard. */
const MOUSE_TAKES_OVER_PX = 6;

export class Input {
  readonly wanted: Wanted = { mode: 'steer', steer: 0, angle: 0, throttle: 1, boost: false, fire: false };
  private readonly held = new Map<Action, number>();
  private device: 'keys' | 'mouse' | 'touch' = 'keys';
  private mouseX = 0;
  private mouseY = 0;
  private movedPx = 0;
  private mouseFire = false;
  private mouseBoost = false;

  /** `surface`: the canvas; `touch`: its thumb controls; `onGesture`: any first use of a device. */
  constructor(
    surface: HTMLElement,
    private readonly touch: TouchPad,
    private readonly onGesture: () => void,
  ) {
    addEventListener('keydown', (event) => this.onKey(event, true));
    addEventListener('keyup', (event) => this.onKey(event, false));
    addEventListener('blur', () => this.release());
    surface.addEventListener('pointermove', (event) => this.onMove(event));
    surface.addEventListener('pointerdown', (event) => this.onButton(event, true));
    addEventListener('pointerup', (event) => this.onButton(event, false));
    surface.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  /** Lets go of everything, as when a text field takes the keys. */
  release(): void {
    this.held.clear();
    this.mouseFire = false;
    this.mouseBoost = false;
  }

  /** The wish now. `planeX`, `planeY`: where the own plane is drawn, in CSS pixels. */
  update(now: number, planeX: number, planeY: number): Wanted {
    const { wanted, held, touch } = this;
    if (touch.isActive) this.device = 'touch';
    wanted.throttle = throttleOf(held.has('faster'), held.has('slower'));
    wanted.boost = held.has('boost') || this.mouseBoost || touch.boost;
    wanted.fire = held.has('fire') || this.mouseFire || touch.fire;
    const since = Math.max(held.get('left') ?? 0, held.get('right') ?? 0);
    wanted.steer = steerOf(held.has('left'), held.has('right'), now - since);
    const angle = this.angle(planeX, planeY);
    wanted.mode = angle === undefined ? 'steer' : 'towards';
    if (angle !== undefined) wanted.angle = angle;
    return wanted;
  }

  private angle(planeX: number, planeY: number): number | undefined {
    if (this.device === 'touch') return this.touch.angle;
    if (this.device === 'mouse') return angleTo(this.mouseX - planeX, this.mouseY - planeY, POINTER_DEAD_ZONE_PX);
    return undefined;
  }

  private onKey(event: KeyboardEvent, isDown: boolean): void {
    const action = actionOf(event.code);
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!isDown) {
      this.held.delete(action);
      return;
    }
    if (takesKeys(event.target)) return;
    event.preventDefault();
    this.onGesture();
    if (event.repeat) return;
    this.held.set(action, performance.now());
    if (action === 'left' || action === 'right') {
      this.device = 'keys';
      this.touch.isActive = false;
      this.movedPx = 0;
    }
  }

  private onMove(event: PointerEvent): void {
    if (event.pointerType === 'touch') return;
    this.movedPx += Math.abs(event.clientX - this.mouseX) + Math.abs(event.clientY - this.mouseY);
    this.mouseX = event.clientX;
    this.mouseY = event.clientY;
    if (this.movedPx > MOUSE_TAKES_OVER_PX && !this.isTurning()) this.device = 'mouse';
  }

  private onButton(event: PointerEvent, isDown: boolean): void {
    if (event.pointerType === 'touch') return;
    if (isDown) this.onGesture();
    if (event.button === 0) this.mouseFire = isDown;
    if (event.button === 2) this.mouseBoost = isDown;
    if (isDown && event.button === 0 && !this.isTurning()) this.device = 'mouse';
  }

  private isTurning(): boolean {
    return this.held.has('left') || this.held.has('right');
  }
}

/** Text fields and buttons keep their keys. */
function takesKeys(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, button, a, summary, dialog') !== null;
}
