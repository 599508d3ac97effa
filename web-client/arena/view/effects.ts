// Hits and explosions as flying paper: shards, rings and smoke from a pool, and a short shake when it is near.
import type { Sprite, Texture } from 'pixi.js';
import type { Frame } from '../frame';
import { cut, paint, pinned } from './paper';
import type { Stage, System } from './stage';

const PIECES_MAX = 260;
const PX_PER_LENGTH = 64;
const SHAKE_MS = 260;
const SHAKE_MAX_PX = 9;
/** Farther away than this an explosion shakes nobody. */
const SHAKE_REACH_LENGTHS = 9;
const PAPER = 0xf2ebdd;
const DARK = 0x1a2830;
const ORANGE = 0xff7a4d;
const AMBER = 0xf0b94a;

interface Piece {
  sprite: Sprite;
  isFree: boolean;
  vx: number;
  vy: number;
  spin: number;
  /** Growth of its size a second, in lengths. */
  grow: number;
  size: number;
  age: number;
  lifeMs: number;
  alpha: number;
}

type Kind = 'shard' | 'puff' | 'ring' | 'star';

export class Effects implements System {
  private readonly pieces: Piece[] = [];
  private readonly textures: Record<Kind, Texture>;
  private shakeLeftMs = 0;
  private shakePx = 0;

  constructor(private readonly stage: Stage) {
    const sheet = (draw: Parameters<typeof cut>[3]): Texture => cut(1.1, 1.1, PX_PER_LENGTH, (brush) => {
      brush.fillStyle = brush.strokeStyle = '#ffffff';
      draw(brush);
    });
    this.textures = {
      shard: sheet((brush) => brush.fill(new Path2D('M-.4 -.28L.5 -.1L-.1 .42Z'))),
      puff: sheet((brush) => brush.fill(new Path2D('M-.5 0a.5 .5 0 1 0 1 0a.5 .5 0 1 0 -1 0Z'))),
      ring: sheet((brush) => {
        brush.lineWidth = 0.07;
        brush.stroke(new Path2D('M-.46 0a.46 .46 0 1 0 .92 0a.46 .46 0 1 0 -.92 0Z'));
      }),
      star: sheet((brush) => brush.fill(new Path2D('M0 -.54L.13 -.13L.54 0L.13 .13L0 .54L-.13 .13L-.54 0L-.13 -.13Z'))),
    };
  }

  /** A plane lost health here. */
  hit(x: number, y: number, isOwn: boolean): void {
    if (!this.stage.isCalm) this.add('star', x, y, 0, 0, 0.9, 0.5, 130, 0.95, PAPER);
    for (let shard = 0; shard < 4; shard += 1) this.fling('shard', x, y, 3.5, 0.2, 320, shard % 2 === 0 ? PAPER : AMBER);
    if (isOwn) this.shake(5);
  }

  /** A plane of this colour was lost here. */
  explode(x: number, y: number, tint: number): void {
    if (!this.stage.isCalm) this.add('star', x, y, 0, 0, 2.2, 1.5, 170, 0.95, PAPER);
    this.add('ring', x, y, 0, 0, 0.6, 7, 520, 0.8, PAPER);
    for (let puff = 0; puff < 7; puff += 1) this.fling('puff', x, y, 1.7, 0.75, 1000, DARK, 0.55, 0.8);
    for (let puff = 0; puff < 4; puff += 1) this.fling('puff', x, y, 1.6, 0.6, 380, puff % 2 === 0 ? ORANGE : AMBER, 0.9, 0.6);
    for (let shard = 0; shard < 12; shard += 1) this.fling('shard', x, y, 6.5, 0.36, 900, shard % 3 === 0 ? PAPER : tint);
    const near = 1 - Math.hypot(x - this.stage.cameraX, y - this.stage.cameraY) / SHAKE_REACH_LENGTHS;
    if (near > 0) this.shake(SHAKE_MAX_PX * near);
  }

  update(frame: Frame): void {
    const seconds = frame.deltaMs / 1000;
    for (const piece of this.pieces) {
      if (piece.isFree) continue;
      piece.age += frame.deltaMs;
      const left = 1 - piece.age / piece.lifeMs;
      if (left <= 0) {
        piece.isFree = true;
        // No size hides without a change of the scene's structure.
        piece.sprite.scale.set(0);
        continue;
      }
      const drag = Math.exp(-2.6 * seconds);
      piece.vx *= drag;
      piece.vy *= drag;
      piece.size += piece.grow * seconds;
      const { sprite } = piece;
      sprite.position.set(sprite.x + piece.vx * seconds, sprite.y + piece.vy * seconds);
      sprite.rotation += piece.spin * seconds;
      sprite.scale.set(piece.size / PX_PER_LENGTH);
      sprite.alpha = piece.alpha * Math.min(1, left * 1.6);
    }
    this.applyShake(frame.deltaMs);
  }

  private applyShake(deltaMs: number): void {
    this.shakeLeftMs = Math.max(0, this.shakeLeftMs - deltaMs);
    const strength = (this.shakePx * this.shakeLeftMs) / SHAKE_MS;
    this.stage.shakeX = strength === 0 ? 0 : (Math.random() - 0.5) * 2 * strength;
    this.stage.shakeY = strength === 0 ? 0 : (Math.random() - 0.5) * 2 * strength;
  }

  private shake(px: number): void {
    if (this.stage.isCalm) return;
    this.shakePx = Math.min(SHAKE_MAX_PX, px);
    this.shakeLeftMs = SHAKE_MS;
  }

  private fling(kind: Kind, x: number, y: number, speed: number, size: number, lifeMs: number, tint: number, alpha = 0.95, grow = 0): void {
    const turn = Math.random() * 2 * Math.PI;
    const pace = speed * (0.35 + 0.65 * Math.random());
    this.add(kind, x, y, Math.cos(turn) * pace, Math.sin(turn) * pace, size * (0.7 + 0.6 * Math.random()), grow, lifeMs * (0.7 + 0.5 * Math.random()), alpha, tint);
  }

  private add(kind: Kind, x: number, y: number, vx: number, vy: number, size: number, grow: number, lifeMs: number, alpha: number, tint: number): void {
    const piece = this.take();
    if (piece === undefined) return;
    const isWhirling = kind === 'shard';
    Object.assign(piece, { isFree: false, vx, vy, size, grow, lifeMs, alpha, age: 0, spin: isWhirling ? (Math.random() - 0.5) * 16 : 0 });
    const { sprite } = piece;
    sprite.texture = this.textures[kind];
    sprite.position.set(x, y);
    sprite.rotation = isWhirling ? Math.random() * 6 : 0;
    sprite.scale.set(size / PX_PER_LENGTH);
    paint(sprite, tint);
    sprite.alpha = alpha;
  }

  /** A free piece; none when the sky is full of paper already. */
  private take(): Piece | undefined {
    const free = this.pieces.find((piece) => piece.isFree);
    if (free !== undefined || this.pieces.length >= PIECES_MAX) return free;
    const sprite = pinned(this.textures.puff, PX_PER_LENGTH);
    this.stage.effects.addChild(sprite);
    const piece = { sprite, isFree: true, vx: 0, vy: 0, spin: 0, grow: 0, size: 0, age: 0, lifeMs: 1, alpha: 1 };
    this.pieces.push(piece);
    return piece;
  }
}
