// How planes and bullets fly: `game/src/plane.rs` and `bullet.rs` in JavaScript, one tick at a time.
// Invariant: nothing here knows of sockets, views or schemas.
import { LENGTH, TURN } from './rules.js';

export const STEER_MAX = 7;
export const HEALTH_FULL = 100;
const ENERGY_FULL = 10_000;
const REEL_NOTICE_TICKS = 12;
const RADIANS = (2 * Math.PI) / TURN;

/** The heading from the origin towards a point. */
export function headingOf(x, y) {
  return Math.round(Math.atan2(y, x) / RADIANS) & (TURN - 1);
}

/** The short way from one heading to another. */
export function turnBetween(from, to) {
  return ((to - from + TURN / 2) & (TURN - 1)) - TURN / 2;
}

function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}

export class Bullet {
  constructor(owner, rules) {
    const speed = rules.bullet_speed + Math.trunc((owner.speed * rules.bullet_inherits) / 16_000);
    const cos = Math.cos(owner.heading * RADIANS);
    const sin = Math.sin(owner.heading * RADIANS);
    this.owner = owner;
    this.x = clamp(owner.x + Math.trunc((cos * LENGTH) / 2), 0, rules.side - 1);
    this.y = clamp(owner.y + Math.trunc((sin * LENGTH) / 2), 0, rules.side - 1);
    this.vx = Math.trunc(cos * speed);
    this.vy = Math.trunc(sin * speed);
    this.ttl = rules.bullet_life;
  }

  /** False when it ends here. */
  step(rules) {
    this.x += this.vx;
    this.y += this.vy;
    this.ttl -= 1;
    return this.ttl > 0 && this.x >= 0 && this.y >= 0 && this.x < rules.side && this.y < rules.side;
  }
}

export class Plane {
  constructor(id) {
    this.id = id;
    /** When it flies again; undefined while it flies or nobody has asked. */
    this.returns = undefined;
    /** What the pilot wants, in force from the end of the tick. */
    this.wanted = { steer: 0, throttle: 1, boost: false, fire: false };
    this.health = 0;
    this.x = 0;
    this.y = 0;
    this.vx = 0;
    this.vy = 0;
  }

  spawn(x, y, heading, rules) {
    this.x = x;
    this.y = y;
    this.heading = heading;
    this.speed = rules.throttle_speeds[1];
    this.steer = 0;
    this.throttle = 1;
    this.boost = false;
    this.fire = false;
    this.health = HEALTH_FULL;
    this.energy = ENERGY_FULL;
    this.cooldown = 0;
    this.shield = rules.spawn_shield;
    this.reel = 0;
    this.returns = undefined;
  }

  get isShielded() {
    return this.shield > 0;
  }

  get isFlying() {
    return this.health > 0;
  }

  isBoosting(rules) {
    return this.boost && this.energy >= rules.boost_drain && this.reeling(rules) === undefined;
  }

  /** One tick of flight; returns the bullet that was fired. */
  step(rules) {
    if (this.cooldown > 0) this.cooldown -= 1;
    if (this.shield > 0) this.shield -= 1;
    const forced = this.autopilot(rules) ?? this.reeling(rules);
    const steer = forced ?? this.steer;
    const rate = forced === undefined ? this.turnRate(rules) : rules.turn_slow;
    this.turn(Math.trunc((rate * steer) / STEER_MAX));
    this.accelerate(steer, rules);
    this.reel -= Math.sign(this.reel);
    this.vx = Math.trunc((Math.cos(this.heading * RADIANS) * this.speed) / 16);
    this.vy = Math.trunc((Math.sin(this.heading * RADIANS) * this.speed) / 16);
    this.moveTo(this.x + this.vx, this.y + this.vy, rules);
    return this.shoot(rules);
  }

  /** Where it will be about when it reels, if it is rammed now. */
  atReeling() {
    return { x: this.x + this.vx * REEL_NOTICE_TICKS, y: this.y + this.vy * REEL_NOTICE_TICKS };
  }

  /** Rammed: a little later it turns away hard and slows down for a while. */
  reelAway(toTheRight, rules) {
    const ticks = REEL_NOTICE_TICKS + rules.ram_reel;
    this.reel = toTheRight ? ticks : -ticks;
  }

  reeling(rules) {
    const isReeling = this.reel !== 0 && Math.abs(this.reel) <= rules.ram_reel;
    return isReeling ? Math.sign(this.reel) * STEER_MAX : undefined;
  }

  moveTo(x, y, rules) {
    this.x = clamp(x, 0, rules.side - 1);
    this.y = clamp(y, 0, rules.side - 1);
  }

  turn(by) {
    this.heading = (this.heading + by) & (TURN - 1);
  }

  /** The faster, the less. */
  turnRate(rules) {
    const range = rules.boost_speed - rules.throttle_speeds[0];
    const below = clamp(rules.boost_speed - this.speed, 0, range);
    return rules.turn_fast + Math.trunc(((rules.turn_slow - rules.turn_fast) * below) / range);
  }

  /** In the strip along the edge: the steer that brings the plane back. */
  autopilot(rules) {
    const last = rules.side - 1 - rules.border;
    const dx = clamp(this.x, rules.border, last) - this.x;
    const dy = clamp(this.y, rules.border, last) - this.y;
    if (dx === 0 && dy === 0) return undefined;
    const turn = turnBetween(this.heading, headingOf(dx, dy));
    return Math.abs(turn) > TURN / 8 ? Math.sign(turn) * STEER_MAX : undefined;
  }

  accelerate(steer, rules) {
    const isBoosting = this.isBoosting(rules);
    if (isBoosting) this.energy -= rules.boost_drain;
    else if (!this.boost) this.energy = Math.min(ENERGY_FULL, this.energy + rules.boost_refill);
    const throttle = this.reeling(rules) === undefined ? this.throttle : 0;
    const wanted = isBoosting ? rules.boost_speed : rules.throttle_speeds[throttle];
    const thrust = isBoosting ? rules.boost_thrust : rules.thrust;
    const cost = Math.trunc((rules.turn_cost * steer * steer) / (STEER_MAX * STEER_MAX));
    const target = wanted - Math.trunc((wanted * cost) / 1000);
    this.speed += clamp(target - this.speed, -rules.drag, thrust);
  }

  shoot(rules) {
    if (!this.fire || this.cooldown > 0 || this.isShielded) return undefined;
    this.cooldown = rules.gun_pause;
    return new Bullet(this, rules);
  }

  /** What the pilot wants takes effect. */
  obey() {
    this.steer = this.wanted.steer;
    this.throttle = this.wanted.throttle;
    this.boost = this.wanted.boost;
    this.fire = this.wanted.fire;
  }
}
