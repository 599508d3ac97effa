// Trails: short strokes of vapour behind each plane, longer and brighter the faster it flies; smoke when it is hurt.
import { Sprite, type Texture } from 'pixi.js';
import type { Frame, PlaneView } from '../frame';
import { cut, paint } from './paper';
import type { Stage, System } from './stage';

/** More than every plane in a full picture leaves. Policy: no further stroke until one has faded. */
const STROKES_MAX = 900;
const STROKE_INTERVAL_MS = 48;
const LIFE_MS = 850;
const PX_PER_LENGTH = 48;
const TAIL_LENGTHS = 0.5;
/** From here on a trail shows, and here it is at its brightest; lengths a second. */
const SPEED_FAINT = 4;
const SPEED_BRIGHT = 13;
const VAPOUR = 0xe8eeea;
const SMOKE = 0x0b1319;
const SMOKES_BELOW = 0.4;
/** A plane that moved farther between two strokes was somewhere else (respawn): no line across the map. */
const LEAP_LENGTHS = 3;

interface Stroke {
  sprite: Sprite;
  isLive: boolean;
  bornAt: number;
  alpha: number;
}

interface Tail {
  x: number;
  y: number;
  at: number;
}

export class Trails implements System {
  private readonly strokes: Stroke[] = [];
  private readonly faded: Stroke[] = [];
  private readonly tails = new Map<number, Tail>();
  private readonly texture: Texture;
  private sweptAt = 0;

  constructor(private readonly stage: Stage) {
    this.texture = cut(1, 0.5, PX_PER_LENGTH, (brush) => {
      const soft = brush.createLinearGradient(0, -0.25, 0, 0.25);
      soft.addColorStop(0, '#ffffff00');
      soft.addColorStop(0.5, '#ffffff');
      soft.addColorStop(1, '#ffffff00');
      brush.fillStyle = soft;
      brush.fillRect(-0.5, -0.25, 1, 0.5);
    });
  }

  update(frame: Frame): void {
    for (let index = 0; index < frame.planeCount; index += 1) this.follow(frame.planes[index] as PlaneView, frame.now);
    for (const stroke of this.strokes) {
      if (!stroke.isLive) continue;
      const left = 1 - (frame.now - stroke.bornAt) / LIFE_MS;
      stroke.isLive = left > 0;
      if (stroke.isLive) stroke.sprite.alpha = stroke.alpha * left;
      else this.fade(stroke);
    }
    if (frame.now - this.sweptAt > 5_000) this.sweep(frame.now);
  }

  private follow(plane: PlaneView, now: number): void {
    const x = plane.x - Math.cos(plane.heading) * TAIL_LENGTHS;
    const y = plane.y - Math.sin(plane.heading) * TAIL_LENGTHS;
    const tail = this.tails.get(plane.id);
    if (tail === undefined) {
      this.tails.set(plane.id, { x, y, at: now });
      return;
    }
    if (now - tail.at < STROKE_INTERVAL_MS) return;
    const long = Math.hypot(x - tail.x, y - tail.y);
    if (long < LEAP_LENGTHS && now - tail.at < LIFE_MS) this.stroke(plane, tail, x, y, long, now);
    tail.x = x;
    tail.y = y;
    tail.at = now;
  }

  private stroke(plane: PlaneView, from: Tail, x: number, y: number, long: number, now: number): void {
    const isHurt = plane.health < SMOKES_BELOW;
    const pace = Math.min(1, Math.max(0, (plane.speed - SPEED_FAINT) / (SPEED_BRIGHT - SPEED_FAINT)));
    const alpha = (isHurt ? 0.55 : 0.1 + 0.32 * pace + (plane.isBoosting ? 0.2 : 0)) * plane.opacity;
    if (alpha < 0.02) return;
    const stroke = this.faded.pop() ?? this.create();
    if (stroke === undefined) return;
    const { sprite } = stroke;
    sprite.position.set((x + from.x) / 2, (y + from.y) / 2);
    sprite.rotation = Math.atan2(y - from.y, x - from.x);
    sprite.scale.set((long + 0.03) / PX_PER_LENGTH, (isHurt ? 1.1 : plane.isBoosting ? 0.62 : 0.4) / PX_PER_LENGTH);
    paint(sprite, isHurt ? SMOKE : VAPOUR);
    stroke.isLive = true;
    stroke.bornAt = now;
    stroke.alpha = alpha;
  }

  private create(): Stroke | undefined {
    if (this.strokes.length >= STROKES_MAX) return undefined;
    const sprite = new Sprite({ texture: this.texture, anchor: 0.5 });
    this.stage.trails.addChild(sprite);
    const stroke = { sprite, isLive: false, bornAt: 0, alpha: 0 };
    this.strokes.push(stroke);
    return stroke;
  }

  private fade(stroke: Stroke): void {
    // No size hides without a change of the scene's structure.
    stroke.sprite.scale.set(0);
    this.faded.push(stroke);
  }

  /** Forgets planes that are long gone. */
  private sweep(now: number): void {
    this.sweptAt = now;
    for (const [id, tail] of this.tails) if (now - tail.at > LIFE_MS * 4) this.tails.delete(id);
  }
}
