// Planes: paper-cut silhouettes that bank into turns, throw a shadow, flicker when hurt and flame when they boost.
import { Container, type Sprite } from 'pixi.js';
import type { Frame, PlaneView } from '../frame';
import { paint, pinned, show } from './paper';
import { cutPlaneArt, PLANE_PX_PER_LENGTH, type PlaneArt } from './plane-art';
import type { Stage, System } from './stage';

/** Drawn a little larger than the rules have it, because hits feel fair when the picture is generous. */
const DRAWN_LENGTHS = 1.22;
const SHADOW_X = 0.42;
const SHADOW_Y = 0.62;
const SHADOW_ALPHA = 0.3;
const BANK_MS = 90;
/** How narrow a full turn makes the wings look. */
const BANK_DEPTH = 0.34;
/** A rammed plane shakes by so much, radians. */
const SHAKE = 0.16;
const HURT_BELOW = 0.4;
const FLASH_MS = 130;

interface Actor {
  id: number;
  seen: number;
  hue: number;
  bank: number;
  health: number;
  flashUntil: number;
  group: Container;
  body: Sprite;
  flame: Sprite;
  muzzle: Sprite;
  shield: Sprite;
  propeller: Sprite;
  shadow: Sprite;
}

export class Planes implements System {
  private readonly art: PlaneArt = cutPlaneArt();
  private readonly actors: Actor[] = [];
  private readonly free: Actor[] = [];
  private readonly byId = new Map<number, Actor>();
  private stamp = 0;

  update(frame: Frame, stage: Stage): void {
    this.stamp += 1;
    const ease = 1 - Math.exp(-frame.deltaMs / BANK_MS);
    for (let index = 0; index < frame.planeCount; index += 1) {
      const plane = frame.planes[index] as PlaneView;
      const actor = this.byId.get(plane.id) ?? this.enter(plane, stage);
      actor.seen = this.stamp;
      this.pose(actor, plane, frame.now, ease, stage.isCalm);
    }
    this.retire();
  }

  private pose(actor: Actor, plane: PlaneView, now: number, ease: number, isCalm: boolean): void {
    if (actor.hue !== plane.hue) this.paint(actor, plane.hue);
    if (plane.health < actor.health - 0.001) actor.flashUntil = now + FLASH_MS;
    actor.health = plane.health;
    actor.bank += (plane.steer - actor.bank) * ease;
    const { group, body, shadow, flame, muzzle, shield, propeller } = actor;
    group.position.set(plane.x, plane.y);
    group.rotation = plane.heading + (plane.isRammed && !isCalm ? SHAKE * Math.sin(now * 0.06) : 0);
    group.alpha = plane.opacity;
    const narrow = 1 - BANK_DEPTH * Math.abs(actor.bank);
    body.scale.y = narrow / PLANE_PX_PER_LENGTH;
    // Leaning into the turn shears the paper a little towards the inner wing.
    body.skew.x = actor.bank * 0.12;
    paint(body, isCalm || now < actor.flashUntil ? 0xffffff : hurtTint(plane, now));
    body.alpha = !isCalm && now < actor.flashUntil && Math.floor(now / 40) % 2 === 0 ? 0.45 : 1;
    const flicker = 0.85 + 0.3 * Math.sin(now * 0.045 + plane.id);
    flame.scale.set(plane.isBoosting ? flicker / PLANE_PX_PER_LENGTH : 0, 1 / PLANE_PX_PER_LENGTH);
    show(muzzle, plane.isFiring && Math.floor(now / 45) % 2 === 0, PLANE_PX_PER_LENGTH);
    show(shield, plane.isShielded, PLANE_PX_PER_LENGTH);
    shield.rotation = now * 0.0012;
    propeller.scale.y = (0.35 + 0.65 * Math.abs(Math.sin(now * 0.031 + plane.id))) / PLANE_PX_PER_LENGTH;
    shadow.position.set(plane.x + SHADOW_X, plane.y + SHADOW_Y);
    shadow.rotation = plane.heading;
    shadow.scale.y = (narrow * DRAWN_LENGTHS * 0.94) / PLANE_PX_PER_LENGTH;
    shadow.alpha = SHADOW_ALPHA * plane.opacity;
  }

  private enter(plane: PlaneView, stage: Stage): Actor {
    const actor = this.free.pop() ?? this.build(stage);
    Object.assign(actor, { id: plane.id, bank: plane.steer, health: plane.health, flashUntil: 0 });
    actor.group.visible = actor.shadow.visible = true;
    this.paint(actor, plane.hue);
    this.actors.push(actor);
    this.byId.set(plane.id, actor);
    return actor;
  }

  private build(stage: Stage): Actor {
    const { art } = this;
    const group = new Container();
    group.scale.set(DRAWN_LENGTHS);
    const [body, flame, muzzle, shield, propeller, shadow] = [art.bodies[0], art.flame, art.muzzle, art.shield, art.propeller, art.shadow].map(
      (texture) => pinned(texture as PlaneArt['flame'], PLANE_PX_PER_LENGTH),
    ) as [Sprite, Sprite, Sprite, Sprite, Sprite, Sprite];
    flame.anchor.x = 0.98;
    flame.x = -0.42;
    muzzle.x = 0.66;
    propeller.x = 0.5;
    propeller.alpha = 0.7;
    shield.alpha = 0.8;
    shadow.scale.set((DRAWN_LENGTHS * 0.94) / PLANE_PX_PER_LENGTH);
    group.addChild(flame, body, propeller, muzzle, shield);
    stage.planes.addChild(group);
    stage.shadows.addChild(shadow);
    return { id: 0, seen: 0, hue: -1, bank: 0, health: 1, flashUntil: 0, group, body, flame, muzzle, shield, propeller, shadow };
  }

  private paint(actor: Actor, hue: number): void {
    actor.hue = hue;
    const texture = this.art.bodies[hue] ?? this.art.bodies[0];
    if (texture !== undefined) actor.body.texture = texture;
  }

  private retire(): void {
    for (let index = this.actors.length - 1; index >= 0; index -= 1) {
      const actor = this.actors[index] as Actor;
      if (actor.seen === this.stamp) continue;
      actor.group.visible = actor.shadow.visible = false;
      this.byId.delete(actor.id);
      this.free.push(actor);
      this.actors[index] = this.actors[this.actors.length - 1] as Actor;
      this.actors.pop();
    }
  }
}

/** A badly hurt plane pulses darker. */
function hurtTint(plane: PlaneView, now: number): number {
  if (plane.health >= HURT_BELOW) return 0xffffff;
  return Math.sin(now * 0.018 + plane.id) > 0.2 ? 0xb8a8a0 : 0xffffff;
}
