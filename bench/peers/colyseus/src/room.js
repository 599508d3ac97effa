// The arena as a Colyseus room: inputs in as byte messages, one fixed step at 60 Hz, state out through a view per client.
//
// Path: `tick` steps the field → what moved is written into the schemas, and into or out of views where a cell changed →
// Colyseus encodes and sends at its patch rate.
import { Room } from '@colyseus/core';
import { StateView } from '@colyseus/schema';
import { Field } from './field.js';
import { Interest, Thing } from './interest.js';
import { CELL, TICKS_PER_S, rulesFor } from './rules.js';
import { ArenaState, BOOSTING, BulletState, PlaneState, SHIELDED } from './state.js';

/** Message types. Controls: one byte, 4 bits of steer + 7, 2 of throttle, boost, fire. */
const CONTROLS = 0;
const FLY_AGAIN = 1;

export class ArenaRoom extends Room {
  state = new ArenaState();
  patchRate = 1000 / TICKS_PER_S;

  onCreate({ cells }) {
    this.field = new Field(rulesFor(cells));
    this.interest = new Interest(cells);
    this.scale = 65_536 / this.field.rules.side;
    this.stepMs = 0;
    this.onMessageBytes(CONTROLS, (client, [bits]) => {
      const { wanted } = client.userData.plane;
      wanted.steer = Math.min(7, (bits & 15) - 7);
      wanted.throttle = Math.min(2, (bits >> 4) & 3);
      wanted.boost = (bits & 64) !== 0;
      wanted.fire = (bits & 128) !== 0;
    });
    this.onMessageBytes(FLY_AGAIN, (client) => this.field.flyAgain(client.userData.plane));
    this.setFixedTimestep(() => this.tick(), TICKS_PER_S);
  }

  onJoin(client) {
    const plane = this.field.join();
    const thing = new Thing(new PlaneState(), false);
    this.write(plane, thing.row);
    this.state.planes.set(String(plane.id), thing.row);
    client.view = new StateView();
    client.userData = { plane, thing, eye: -1 };
    this.interest.put(thing, this.interest.cellAt(plane.x, plane.y));
    this.look(client);
  }

  onLeave(client) {
    const { plane, thing, eye } = client.userData;
    this.field.leave(plane);
    this.state.planes.delete(String(plane.id));
    this.interest.drop(thing);
    this.interest.forget(client.view, eye);
    client.view.dispose();
  }

  tick() {
    const began = performance.now();
    this.field.tick();
    this.showBullets();
    for (const client of this.clients) {
      const { plane, thing } = client.userData;
      this.write(plane, thing.row);
      this.interest.move(thing, this.interest.cellAt(plane.x, plane.y));
    }
    for (const client of this.clients) this.look(client);
    this.stepMs += performance.now() - began;
  }

  /** Those that began, those that flew into another cell, and those that ended. */
  showBullets() {
    const { field, interest, state, scale } = this;
    for (const bullet of field.fired) {
      const row = new BulletState();
      row.x = (bullet.x * scale) | 0;
      row.y = (bullet.y * scale) | 0;
      row.vx = bullet.vx;
      row.vy = bullet.vy;
      row.tick = field.tickNumber & 0xffff;
      bullet.key = this.newKey();
      bullet.thing = new Thing(row, true);
      state.bullets.set(bullet.key, row);
      interest.put(bullet.thing, interest.cellAt(bullet.x, bullet.y));
    }
    for (const bullet of field.ended) {
      interest.drop(bullet.thing);
      state.bullets.delete(bullet.key);
    }
    for (const bullet of field.bullets) interest.move(bullet.thing, interest.cellAt(bullet.x, bullet.y));
  }

  /** Short, since every client that sees the bullet is sent it; used again after 1000 bullets. */
  newKey() {
    this.lastKey = ((this.lastKey ?? 0) + 1) % 1000;
    return String(this.lastKey);
  }

  write(plane, row) {
    row.x = (plane.x * this.scale) | 0;
    row.y = (plane.y * this.scale) | 0;
    row.heading = plane.heading;
    row.flags = (plane.isBoosting(this.field.rules) ? BOOSTING : 0) | (plane.isShielded ? SHIELDED : 0);
    row.health = plane.health;
  }

  /** A client looks from its own plane's cell. */
  look(client) {
    const { thing, eye } = client.userData;
    if (thing.cell === eye) return;
    this.interest.look(client.view, eye, thing.cell);
    client.userData.eye = thing.cell;
  }

  /** What the bench asks for: how much the views really hold. */
  figures() {
    const flying = [...this.clients].filter(({ userData }) => userData.plane.isFlying);
    const things = flying.map(({ userData }) => userData);
    const mean = (of) => flying.reduce((sum, client) => sum + of(client), 0) / Math.max(1, flying.length);
    return {
      ticks: this.field.tickNumber,
      players: this.clients.length,
      flying: flying.length,
      bullets: this.field.bullets.size,
      planes_held: mean(({ view }) => things.filter(({ thing }) => view.has(thing.row)).length),
      planes_in_view: mean(({ userData: { plane } }) => {
        const isInside = (other) => Math.max(Math.abs(other.x - plane.x), Math.abs(other.y - plane.y)) <= 2 * CELL;
        return things.filter((other) => isInside(other.plane)).length;
      }),
      // Those in sight: a view keeps bullets that have flown out of it until they end.
      bullets_held: mean(({ view, userData: { eye } }) => {
        const isSeen = ({ thing }) => view.has(thing.row) && this.interest.sees(eye, thing.cell);
        return [...this.field.bullets].filter(isSeen).length;
      }),
      step_ms: this.stepMs / Math.max(1, this.field.tickNumber),
    };
  }
}
