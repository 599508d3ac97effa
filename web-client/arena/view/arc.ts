// The thin arc round the own plane: health on the left half, boost on the right, redrawn only when a step changes.
import { Sprite } from 'pixi.js';
import type { Frame } from '../frame';
import { brushOf, textureOf, type Brush } from './paper';
import type { Stage, System } from './stage';

const STEPS = 40;
const RADIUS_LENGTHS = 1.12;
const BOX_LENGTHS = 2.5;
const PX_PER_LENGTH = 88;
/** Each half leaves a gap at top and bottom. */
const SPAN = Math.PI * 0.78;
const LOW = 0.35;

export class Arc implements System {
  private readonly canvas = document.createElement('canvas');
  private readonly sprite: Sprite;
  private shown = -1;

  constructor(stage: Stage) {
    this.canvas.width = this.canvas.height = BOX_LENGTHS * PX_PER_LENGTH;
    this.sprite = new Sprite({ texture: textureOf(this.canvas, false), anchor: 0.5 });
    this.sprite.scale.set(1 / PX_PER_LENGTH);
    this.sprite.alpha = 0.92;
    stage.effects.addChild(this.sprite);
  }

  update(frame: Frame): void {
    this.sprite.visible = frame.isAlive && frame.own !== undefined;
    if (frame.own === undefined || !frame.isAlive) return;
    this.sprite.position.set(frame.own.x, frame.own.y);
    const health = Math.ceil(frame.health * STEPS);
    const boost = Math.ceil(frame.boost * STEPS);
    const wanted = health * (STEPS + 1) + boost;
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.redraw(health / STEPS, boost / STEPS);
  }

  private redraw(health: number, boost: number): void {
    const brush = brushOf(this.canvas);
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    brush.setTransform(PX_PER_LENGTH, 0, 0, PX_PER_LENGTH, this.canvas.width / 2, this.canvas.height / 2);
    brush.lineCap = 'round';
    half(brush, Math.PI, 1, '#f2ebdd30');
    half(brush, 0, 1, '#f2ebdd30');
    half(brush, Math.PI, health, health < LOW ? '#ff6b5e' : '#ff7a4d', health < LOW ? 0.1 : 0.075);
    half(brush, 0, boost, '#f2ebdd');
    this.sprite.texture.source.update();
  }
}

/** Fills from the bottom up; `side`: the angle of the half's middle. */
function half(brush: Brush, side: number, amount: number, tone: string, width = 0.05): void {
  if (amount <= 0) return;
  const isLeft = side > 1;
  const bottom = isLeft ? side - SPAN / 2 : side + SPAN / 2;
  const end = isLeft ? bottom + SPAN * amount : bottom - SPAN * amount;
  brush.lineWidth = width;
  brush.strokeStyle = tone;
  brush.beginPath();
  brush.arc(0, 0, RADIUS_LENGTHS, bottom, end, !isLeft);
  brush.stroke();
}
