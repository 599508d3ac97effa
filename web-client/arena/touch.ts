// The thumbs' pad on the page: where its buttons are, and how it looks while it is held.
import { BOOST, FIRE, THROTTLE_CRUISE } from './controls';
import { STICK_RADIUS_PX, Thumbs, type Circle } from './thumbs';
import { byId } from '../shared/dom';

export class TouchPad {
  readonly thumbs: Thumbs;
  private readonly stick = byId('stick');
  private readonly knob = byId('knob');
  private readonly fire = byId('touch-fire');
  private readonly boost = byId('touch-boost');

  /** `surface`: the canvas, the field to fly over. */
  constructor(private readonly surface: HTMLElement) {
    this.thumbs = new Thumbs(() => ({ fire: circleOf(this.fire), boost: circleOf(this.boost) }));
    if (matchMedia('(pointer: coarse)').matches) this.show();
    // Old iOS zooms on a double tap and on a pinch whatever the style sheet says.
    document.addEventListener('gesturestart', (event) => event.preventDefault());
    document.addEventListener('dblclick', (event) => event.preventDefault());
  }

  /** Whether a press there is meant for the plane. */
  has(target: EventTarget | null): boolean {
    return target === this.surface || (target instanceof Node && (this.fire.contains(target) || this.boost.contains(target)));
  }

  /** Lays the page out for thumbs. */
  show(): void {
    document.documentElement.dataset['touch'] = '';
  }

  draw(): void {
    const { stick, pressed, throttle } = this.thumbs;
    this.fire.classList.toggle('held', (pressed & FIRE) !== 0);
    this.boost.classList.toggle('held', (pressed & BOOST) !== 0);
    this.stick.classList.toggle('held', stick !== undefined);
    this.stick.classList.toggle('full', throttle > THROTTLE_CRUISE);
    if (stick === undefined) return;
    this.stick.style.transform = `translate(${stick.homeX}px, ${stick.homeY}px)`;
    const scale = Math.min(1, STICK_RADIUS_PX / Math.hypot(stick.dx, stick.dy));
    this.knob.style.transform = `translate(${stick.dx * scale}px, ${stick.dy * scale}px)`;
  }
}

function circleOf(element: HTMLElement): Circle {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2, radius: width / 2 };
}
