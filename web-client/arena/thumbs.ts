// Thumbs on glass, as a value: a stick that appears where a thumb comes down, and two round buttons.
//
// How far the stick is pushed is the throttle. A thumb keeps the button it came down on until it is lifted, and also
// presses the one that it slides onto: from fire to boost it does both.
// Never: the DOM (places come as arguments, in CSS pixels).
import { angleTo, BOOST, FIRE, throttleOfStick, THROTTLE_CRUISE } from './controls';

export const STICK_RADIUS_PX = 52;
const STICK_DEAD_ZONE_PX = 10;
/** A thumb is broad: so far beside a button it still presses it. */
const BUTTON_SLOP_PX = 12;

export interface Circle {
  x: number;
  y: number;
  /** 0: not shown. */
  radius: number;
}

export interface Pad {
  fire: Circle;
  boost: Circle;
}

interface Stick {
  readonly id: number;
  readonly homeX: number;
  readonly homeY: number;
  dx: number;
  dy: number;
  /** `undefined` until the thumb has left the dead zone; then the last direction holds. */
  angle: number | undefined;
}

/** Masks of `FIRE` and `BOOST`. */
interface Press {
  readonly began: number;
  over: number;
}

export class Thumbs {
  private held: Stick | undefined;
  private readonly presses = new Map<number, Press>();

  /** `pad`: where the buttons are now. */
  constructor(private readonly pad: () => Pad) {}

  /** `isFirst`: no other touch is on the glass, so whatever else seems to be was lifted unheard. */
  down(id: number, x: number, y: number, isFirst: boolean): void {
    if (isFirst) this.lift();
    const over = this.under(x, y);
    if (over !== 0) this.presses.set(id, { began: over, over });
    else this.held ??= { id, homeX: x, homeY: y, dx: 0, dy: 0, angle: undefined };
  }

  move(id: number, x: number, y: number): void {
    const press = this.presses.get(id);
    if (press !== undefined) press.over = this.under(x, y);
    const stick = this.held;
    if (stick?.id !== id) return;
    stick.dx = x - stick.homeX;
    stick.dy = y - stick.homeY;
    stick.angle = angleTo(stick.dx, stick.dy, STICK_DEAD_ZONE_PX) ?? stick.angle;
  }

  up(id: number): void {
    this.presses.delete(id);
    if (this.held?.id === id) this.held = undefined;
  }

  /** All of them. */
  lift(): void {
    this.presses.clear();
    this.held = undefined;
  }

  /** Where it was put down and how far it was pushed; `undefined` while it is not held. */
  get stick(): Readonly<Stick> | undefined {
    return this.held;
  }

  get angle(): number | undefined {
    return this.held?.angle;
  }

  /** A thumb that was only put down asks for nothing yet. */
  get throttle(): number {
    const stick = this.held;
    if (stick?.angle === undefined) return THROTTLE_CRUISE;
    return throttleOfStick(Math.hypot(stick.dx, stick.dy) / STICK_RADIUS_PX);
  }

  /** The buttons that are pressed, a mask. */
  get pressed(): number {
    let all = 0;
    for (const { began, over } of this.presses.values()) all |= began | over;
    return all;
  }

  private under(x: number, y: number): number {
    const { fire, boost } = this.pad();
    return (isUnder(fire, x, y) ? FIRE : 0) | (isUnder(boost, x, y) ? BOOST : 0);
  }
}

function isUnder(circle: Circle, x: number, y: number): boolean {
  return circle.radius > 0 && Math.hypot(x - circle.x, y - circle.y) <= circle.radius + BUTTON_SLOP_PX;
}
