// One frame of play as values: what views and HUD read. One object, filled anew each frame, so steady play makes no garbage.
//
// Lengths are plane lengths, y grows downwards, headings are radians with 0 = east and +π/2 = south.

export interface PlaneView {
  id: number;
  x: number;
  y: number;
  heading: number;
  /** Lengths a second. */
  speed: number;
  /** 0..1 */
  health: number;
  isOwn: boolean;
  isBoosting: boolean;
  isFiring: boolean;
  isShielded: boolean;
  isRammed: boolean;
  hue: number;
  /** -1..1, right positive. */
  steer: number;
  /** 0..2, 1 = cruise. */
  throttle: number;
  /** 0..1 */
  opacity: number;
}

export interface BulletView {
  id: number;
  x: number;
  y: number;
  heading: number;
  isOwn: boolean;
  /** 0..1 of its life. */
  age: number;
}

export interface Frame {
  /** Time of the page in milliseconds, and since the last frame. */
  now: number;
  deltaMs: number;
  /** Only the first `planeCount` are of this frame. */
  planeCount: number;
  readonly planes: PlaneView[];
  bulletCount: number;
  readonly bullets: BulletView[];
  cameraX: number;
  cameraY: number;
  own: PlaneView | undefined;
  /** Ticks until the announced return, or -1. */
  respawnTicks: number;
  /** 0..1 */
  health: number;
  /** 0..1 */
  boost: number;
  score: number;
  /** 1 = best, 0 = not known. */
  rank: number;
  ranked: number;
  fieldSide: number;
  serverTick: number;
  interpolationTicks: number;
  isAlive: boolean;
  isSynced: boolean;
}

export const HEADER_FLOATS = 16;
export const PLANE_FLOATS = 12;
export const BULLET_FLOATS = 6;
const FLAG_OWN = 1;
const FLAG_BOOSTING = 2;
const FLAG_FIRING = 4;
const FLAG_SHIELDED = 8;
const FLAG_RAMMED = 16;
/** A pause (hidden tab, debugger) counts as one short frame, so that nothing leaps. */
const DELTA_MAX_MS = 100;

export function createFrame(): Frame {
  return {
    now: 0, deltaMs: 0, planeCount: 0, planes: [], bulletCount: 0, bullets: [], cameraX: 0, cameraY: 0, own: undefined,
    respawnTicks: -1, health: 0, boost: 0, score: 0, rank: 0, ranked: 0, fieldSide: 0, serverTick: 0,
    interpolationTicks: 0, isAlive: false, isSynced: false,
  };
}

/** Reads the floats of `Client.view()` into the frame. Counts that do not fit the array are cut to what is there. */
export function readFrame(view: Float32Array, now: number, frame: Frame): void {
  frame.deltaMs = Math.min(DELTA_MAX_MS, Math.max(0, now - frame.now));
  frame.now = now;
  readHeader(view, frame);
  readPlanes(view, frame);
  readBullets(view, frame);
  const own = at(view, 4);
  frame.own = own >= 0 && own < frame.planeCount ? frame.planes[own] : undefined;
}

function readHeader(view: Float32Array, frame: Frame): void {
  frame.cameraX = at(view, 2);
  frame.cameraY = at(view, 3);
  frame.respawnTicks = at(view, 5);
  frame.health = at(view, 6);
  frame.boost = at(view, 7);
  frame.score = at(view, 8);
  frame.rank = at(view, 9);
  frame.ranked = at(view, 10);
  frame.fieldSide = at(view, 11);
  frame.serverTick = at(view, 12);
  frame.interpolationTicks = at(view, 13);
  frame.isAlive = at(view, 14) > 0;
  frame.isSynced = at(view, 15) > 0;
}

function readPlanes(view: Float32Array, frame: Frame): void {
  const room = Math.max(0, Math.floor((view.length - HEADER_FLOATS) / PLANE_FLOATS));
  frame.planeCount = Math.min(at(view, 0), room);
  while (frame.planes.length < frame.planeCount) frame.planes.push(blankPlane());
  for (let index = 0; index < frame.planeCount; index += 1) {
    const plane = frame.planes[index] as PlaneView;
    const from = HEADER_FLOATS + index * PLANE_FLOATS;
    const flags = at(view, from + 6);
    plane.id = at(view, from);
    plane.x = at(view, from + 1);
    plane.y = at(view, from + 2);
    plane.heading = at(view, from + 3);
    plane.speed = at(view, from + 4);
    plane.health = at(view, from + 5);
    plane.isOwn = (flags & FLAG_OWN) !== 0;
    plane.isBoosting = (flags & FLAG_BOOSTING) !== 0;
    plane.isFiring = (flags & FLAG_FIRING) !== 0;
    plane.isShielded = (flags & FLAG_SHIELDED) !== 0;
    plane.isRammed = (flags & FLAG_RAMMED) !== 0;
    plane.hue = at(view, from + 7);
    plane.steer = at(view, from + 8);
    plane.throttle = at(view, from + 9);
    plane.opacity = at(view, from + 10);
  }
}

function readBullets(view: Float32Array, frame: Frame): void {
  const start = HEADER_FLOATS + frame.planeCount * PLANE_FLOATS;
  const room = Math.max(0, Math.floor((view.length - start) / BULLET_FLOATS));
  frame.bulletCount = Math.min(at(view, 1), room);
  while (frame.bullets.length < frame.bulletCount) frame.bullets.push({ id: 0, x: 0, y: 0, heading: 0, isOwn: false, age: 0 });
  for (let index = 0; index < frame.bulletCount; index += 1) {
    const bullet = frame.bullets[index] as BulletView;
    const from = start + index * BULLET_FLOATS;
    bullet.id = at(view, from);
    bullet.x = at(view, from + 1);
    bullet.y = at(view, from + 2);
    bullet.heading = at(view, from + 3);
    bullet.isOwn = at(view, from + 4) > 0;
    bullet.age = at(view, from + 5);
  }
}

function at(view: Float32Array, index: number): number {
  return view[index] ?? 0;
}

function blankPlane(): PlaneView {
  return {
    id: 0, x: 0, y: 0, heading: 0, speed: 0, health: 0, isOwn: false, isBoosting: false, isFiring: false,
    isShielded: false, isRammed: false, hue: 0, steer: 0, throttle: 0, opacity: 0,
  };
}
