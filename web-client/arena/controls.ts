// Maps keys, stick and pointer to the controls of the plane: pure functions.

export interface WantedControls {
  /** Steer by amount, or turn towards an angle. */
  mode: 'steer' | 'towards';
  /** -7..7, right positive. */
  steer: number;
  /** Radians, 0 = east, +π/2 = south. */
  angle: number;
  /** 0..2, 1 = cruise. */
  throttle: number;
  boost: boolean;
  fire: boolean;
}

/** Nobody flies: straight on at cruise. */
export const NEUTRAL_CONTROLS: Readonly<WantedControls> = { mode: 'steer', steer: 0, angle: 0, throttle: 1, boost: false, fire: false };

export type Action = 'left' | 'right' | 'faster' | 'slower' | 'boost' | 'fire';

/** A mask of what is pressed; the same bits as the mouse's left and right button in `MouseEvent.buttons`. */
export const FIRE = 1;
export const BOOST = 2;

export const STEER_MAX = 7;
export const THROTTLE_CRUISE = 1;
const THROTTLE_MAX = 2;
/** A tap corrects gently, a held key turns hard. */
const STEER_TAP = 4;
const STEER_TAP_MS = 90;
/** Shares of the stick's way from which on it is cruise, and full throttle. */
export const STICK_CRUISE = 0.4;
export const STICK_FULL = 0.8;

/** By physical key, so that WASD is where the hand expects it on every layout. */
const KEYS: Readonly<Record<string, Action>> = {
  KeyA: 'left', ArrowLeft: 'left', KeyD: 'right', ArrowRight: 'right',
  KeyW: 'faster', ArrowUp: 'faster', KeyS: 'slower', ArrowDown: 'slower',
  ShiftLeft: 'boost', ShiftRight: 'boost', Space: 'fire',
};

export function actionOf(code: string): Action | undefined {
  return KEYS[code];
}

/** `heldMs`: how long the one that is down has been. */
export function steerOf(left: boolean, right: boolean, heldMs: number): number {
  if (left === right) return 0;
  const amount = heldMs < STEER_TAP_MS ? STEER_TAP : STEER_MAX;
  return left ? -amount : amount;
}

export function throttleOf(faster: boolean, slower: boolean): number {
  if (faster === slower) return THROTTLE_CRUISE;
  return faster ? THROTTLE_MAX : 0;
}

/** `deflection`: of a stick under a thumb, 1 at its rim. */
export function throttleOfStick(deflection: number): number {
  if (deflection >= STICK_FULL) return THROTTLE_MAX;
  return deflection >= STICK_CRUISE ? THROTTLE_CRUISE : 0;
}

/** Where a pointer lies from the plane; `undefined` inside the dead zone, where a hand's tremble would spin the plane. */
export function angleTo(dx: number, dy: number, deadZone: number): number | undefined {
  return Math.hypot(dx, dy) < deadZone ? undefined : Math.atan2(dy, dx);
}
