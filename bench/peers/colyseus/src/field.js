// One tick of the game: motion, hits, ramming, coming back. `game/src/{motion,hits,collisions,spawn}.rs` in JavaScript.
//
// Path: `tick` steps everything; `fired` and `ended` then hold the bullets that began and ended in it.
// Invariant: nothing here knows of sockets, views or schemas.
import { Plane, headingOf, turnBetween } from './flight.js';
import { Grid } from './grid.js';
import { CELL, TURN } from './rules.js';

/** From asking to fly again until the plane appears. */
const NOTICE_TICKS = 30;
/** Places tried for one that is clear of others; then the clearest of them. */
const PLACES_TRIED = 12;

export class Field {
  constructor(rules) {
    this.rules = rules;
    this.planes = new Set();
    this.bullets = new Set();
    this.fired = [];
    this.ended = [];
    this.grid = new Grid(rules);
    this.tickNumber = 0;
    this.nextId = 1;
  }

  /** Adds a pilot's plane, in the air. */
  join() {
    const plane = new Plane(this.nextId++);
    this.planes.add(plane);
    this.appear(plane);
    return plane;
  }

  leave(plane) {
    this.planes.delete(plane);
  }

  /** Asks to fly again; heard only of somebody who was shot down. */
  flyAgain(plane) {
    if (!plane.isFlying) plane.returns ??= this.tickNumber + NOTICE_TICKS;
  }

  tick() {
    this.tickNumber += 1;
    this.fired.length = 0;
    this.ended.length = 0;
    this.fly();
    this.grid.build(this.planes);
    for (const bullet of this.bullets) this.hit(bullet);
    this.ram();
    for (const plane of this.planes) {
      if (plane.returns === this.tickNumber) this.appear(plane);
      plane.obey();
    }
  }

  fly() {
    for (const bullet of this.bullets) {
      if (!bullet.step(this.rules)) this.end(bullet);
    }
    for (const plane of this.planes) {
      if (!plane.isFlying) continue;
      const bullet = plane.step(this.rules);
      if (bullet !== undefined) {
        this.bullets.add(bullet);
        this.fired.push(bullet);
      }
    }
  }

  end(bullet) {
    this.bullets.delete(bullet);
    this.ended.push(bullet);
  }

  /** The first plane on the bullet's way of this tick is hit. */
  hit(bullet) {
    const { rules } = this;
    const startX = bullet.x - bullet.vx;
    const startY = bullet.y - bullet.vy;
    const margin = rules.bullet_reach + (rules.boost_speed >> 4) + 1;
    let victim;
    let first = Infinity;
    this.grid.near(
      Math.min(startX, bullet.x) - margin,
      Math.min(startY, bullet.y) - margin,
      Math.max(startX, bullet.x) + margin,
      Math.max(startY, bullet.y) + margin,
      (plane) => {
        if (plane === bullet.owner || !plane.isFlying || plane.isShielded) return;
        const moment = momentOfHit(bullet, plane, rules.bullet_reach);
        if (moment < first) {
          first = moment;
          victim = plane;
        }
      },
    );
    if (victim === undefined) return;
    this.end(bullet);
    victim.health = Math.max(0, victim.health - rules.bullet_damage);
  }

  /** Planes that touch are hurt, and reel. */
  ram() {
    const reach = 2 * this.rules.ram_reach;
    for (const a of this.grid.sorted) {
      this.grid.near(a.x - reach, a.y - reach, a.x + reach, a.y + reach, (b) => {
        if (a.id >= b.id || !a.isFlying || !b.isFlying) return;
        if (Math.hypot(a.x - b.x, a.y - b.y) < reach) this.clash(a, b);
      });
    }
  }

  clash(a, b) {
    const [placeA, placeB] = [a.atReeling(), b.atReeling()];
    const x = placeA.x - placeB.x;
    const y = placeA.y - placeB.y;
    const line = x === 0 && y === 0 ? a.heading + TURN / 4 : headingOf(x, y);
    const hurts = !a.isShielded && !b.isShielded;
    this.suffer(a, line, hurts);
    this.suffer(b, line + TURN / 2, hurts);
  }

  suffer(plane, away, hurts) {
    if (plane.reel !== 0) return;
    plane.reelAway(turnBetween(plane.heading, away) >= 0, this.rules);
    if (hurts) plane.health = Math.max(0, plane.health - this.rules.ram_damage);
  }

  appear(plane) {
    const margin = this.rules.border + CELL / 4;
    const room = this.rules.side - 2 * margin;
    let best = { clearance: -1, x: 0, y: 0 };
    for (let attempt = 0; attempt < PLACES_TRIED && best.clearance < this.rules.spawn_clearance; attempt += 1) {
      const x = margin + Math.floor(Math.random() * room);
      const y = margin + Math.floor(Math.random() * room);
      const clearance = this.clearance(x, y);
      if (clearance > best.clearance) best = { clearance, x, y };
    }
    const middle = this.rules.side / 2;
    plane.spawn(best.x, best.y, headingOf(middle - best.x, middle - best.y), this.rules);
  }

  /** Distance to the nearest plane, no more than the rules ask for. */
  clearance(x, y) {
    const reach = this.rules.spawn_clearance;
    let nearest = reach;
    this.grid.near(x - reach, y - reach, x + reach, y + reach, (plane) => {
      nearest = Math.min(nearest, Math.hypot(plane.x - x, plane.y - y));
    });
    return nearest;
  }
}

/** When in the tick (0..1) the two were closest, Infinity if that was not within reach. */
function momentOfHit(bullet, plane, reach) {
  const wayX = bullet.vx - plane.vx;
  const wayY = bullet.vy - plane.vy;
  const startX = bullet.x - plane.x - wayX;
  const startY = bullet.y - plane.y - wayY;
  const length = wayX * wayX + wayY * wayY;
  const moment = Math.min(1, Math.max(0, -(startX * wayX + startY * wayY) / Math.max(1, length)));
  const x = startX + wayX * moment;
  const y = startY + wayY * moment;
  return x * x + y * y <= reach * reach ? moment : Infinity;
}

