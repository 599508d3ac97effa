// Thumbs: anywhere on the left flies (a stick that appears under the thumb), buttons on the right shoot and boost.
import { angleTo } from './controls';
import { byId } from '../shared/dom';

const STICK_RADIUS_PX = 52;
const STICK_DEAD_ZONE_PX = 10;

export class TouchPad {
  /** Direction the stick points to; `undefined` while the thumb rests or is lifted. */
  angle: number | undefined;
  fire = false;
  boost = false;
  /** Touch was used last: set by a thumb, cleared by a mouse. */
  isActive = false;
  private stickId: number | undefined;
  private homeX = 0;
  private homeY = 0;
  private readonly base = byId('stick');
  private readonly knob = byId('knob');

  constructor(surface: HTMLElement, private readonly onGesture: () => void) {
    if (matchMedia('(pointer: coarse)').matches) showThumbs();
    surface.addEventListener('pointerdown', (event) => this.onDown(event));
    surface.addEventListener('pointermove', (event) => this.onMove(event));
    for (const type of ['pointerup', 'pointercancel'] as const) addEventListener(type, (event) => this.onUp(event));
    this.button('touch-fire', (isDown) => (this.fire = isDown));
    this.button('touch-boost', (isDown) => (this.boost = isDown));
    // Old iOS zooms on a double tap and on a pinch whatever the style sheet says.
    document.addEventListener('gesturestart', (event) => event.preventDefault());
    document.addEventListener('dblclick', (event) => event.preventDefault());
  }

  private button(id: string, set: (isDown: boolean) => void): void {
    const button = byId(id);
    const change = (event: PointerEvent, isDown: boolean): void => {
      event.preventDefault();
      this.use();
      set(isDown);
      button.classList.toggle('held', isDown);
    };
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId);
      change(event, true);
    });
    button.addEventListener('pointerup', (event) => change(event, false));
    button.addEventListener('pointercancel', (event) => change(event, false));
    button.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  private onDown(event: PointerEvent): void {
    if (event.pointerType !== 'touch') {
      this.isActive = false;
      return;
    }
    this.use();
    if (this.stickId !== undefined) return;
    this.stickId = event.pointerId;
    this.homeX = event.clientX;
    this.homeY = event.clientY;
    this.base.classList.add('held');
    this.base.style.transform = `translate(${this.homeX}px, ${this.homeY}px)`;
    this.moveKnob(0, 0);
  }

  private onMove(event: PointerEvent): void {
    if (event.pointerType !== 'touch') {
      this.isActive = false;
      return;
    }
    if (event.pointerId !== this.stickId) return;
    const dx = event.clientX - this.homeX;
    const dy = event.clientY - this.homeY;
    const far = Math.hypot(dx, dy);
    this.angle = angleTo(dx, dy, STICK_DEAD_ZONE_PX) ?? this.angle;
    const scale = far > STICK_RADIUS_PX ? STICK_RADIUS_PX / far : 1;
    this.moveKnob(dx * scale, dy * scale);
  }

  private onUp(event: PointerEvent): void {
    if (event.pointerId !== this.stickId) return;
    this.stickId = undefined;
    this.angle = undefined;
    this.base.classList.remove('held');
    this.base.style.transform = '';
    this.moveKnob(0, 0);
  }

  private moveKnob(x: number, y: number): void {
    this.knob.style.transform = `translate(${x}px, ${y}px)`;
  }

  private use(): void {
    this.isActive = true;
    showThumbs();
    this.onGesture();
  }
}

/** Lays the page out for thumbs. */
function showThumbs(): void {
  document.documentElement.dataset['touch'] = '';
}
