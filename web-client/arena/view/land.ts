// The ground: tiles painted when the camera comes near, at most one a frame, and painted anew for others when it left.
import { Sprite } from 'pixi.js';
import type { Frame } from '../frame';
import { planLand, type Shape } from './land-plan';
import { brushOf, textureOf, type Brush } from './paper';
import type { Stage, System } from './stage';

const TILE_LENGTHS = 12;
/** A little coarser than the planes above: the ground stays calm and cheap. */
const PX_PER_LENGTH = 44;
/** Tiles are kept ready this far beyond the picture. */
const AHEAD_LENGTHS = 5;
const OUTSIDE = '#0c171fa8';
const BORDER = '#f2ebdd';

interface Tile {
  canvas: HTMLCanvasElement;
  sprite: Sprite;
  column: number;
  row: number;
  usedAt: number;
}

export class Land implements System {
  private readonly tiles = new Map<number, Tile>();
  private shapes: Shape[] = [];
  private side = 0;

  update(frame: Frame, stage: Stage): void {
    if (frame.fieldSide <= 0) return;
    if (frame.fieldSide !== this.side) this.plan(frame.fieldSide);
    const halfWidth = stage.width / 2 / stage.scale;
    const halfHeight = stage.height / 2 / stage.scale;
    // What is in the picture must be painted now; what comes soon, one tile a frame.
    if (!this.ensure(stage, frame.now, halfWidth, halfHeight, Number.POSITIVE_INFINITY)) return;
    this.ensure(stage, frame.now, halfWidth + AHEAD_LENGTHS, halfHeight + AHEAD_LENGTHS, 1);
  }

  private plan(side: number): void {
    this.side = side;
    this.shapes = planLand(side);
    for (const tile of this.tiles.values()) tile.sprite.destroy({ texture: true, textureSource: true });
    this.tiles.clear();
  }

  /** Paints missing tiles of this part of the land, at most `budget`; true if there was nothing to paint. */
  private ensure(stage: Stage, now: number, halfWidth: number, halfHeight: number, budget: number): boolean {
    let painted = 0;
    const lastColumn = tileAt(stage.cameraX + halfWidth);
    const lastRow = tileAt(stage.cameraY + halfHeight);
    for (let row = tileAt(stage.cameraY - halfHeight); row <= lastRow; row += 1) {
      for (let column = tileAt(stage.cameraX - halfWidth); column <= lastColumn; column += 1) {
        const tile = this.tiles.get(keyOf(column, row));
        if (tile !== undefined) tile.usedAt = now;
        else if (painted < budget) {
          painted += 1;
          this.paint(this.take(stage, now), column, row, now);
        }
      }
    }
    return painted === 0;
  }

  /** A tile that was out of sight for a while, or a new one. */
  private take(stage: Stage, now: number): Tile {
    for (const [key, tile] of this.tiles) {
      if (now - tile.usedAt < 500) continue;
      this.tiles.delete(key);
      return tile;
    }
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = TILE_LENGTHS * PX_PER_LENGTH;
    const sprite = new Sprite(textureOf(canvas, false));
    // A hair larger than its place, so that no seam shows between neighbours.
    sprite.width = sprite.height = TILE_LENGTHS * 1.002;
    stage.ground.addChild(sprite);
    return { canvas, sprite, column: 0, row: 0, usedAt: now };
  }

  private paint(tile: Tile, column: number, row: number, now: number): void {
    const left = column * TILE_LENGTHS;
    const top = row * TILE_LENGTHS;
    const brush = brushOf(tile.canvas);
    brush.setTransform(PX_PER_LENGTH, 0, 0, PX_PER_LENGTH, -left * PX_PER_LENGTH, -top * PX_PER_LENGTH);
    brush.fillStyle = '#1b3140';
    brush.fillRect(left, top, TILE_LENGTHS, TILE_LENGTHS);
    for (const shape of this.shapes) {
      const isHere = shape.right > left && shape.left < left + TILE_LENGTHS && shape.bottom > top && shape.top < top + TILE_LENGTHS;
      if (isHere) shape.paint(brush);
    }
    paintBorder(brush, this.side, left, top);
    tile.sprite.texture.source.update();
    tile.sprite.position.set(left, top);
    Object.assign(tile, { column, row, usedAt: now });
    this.tiles.set(keyOf(column, row), tile);
  }
}

/** Where the field ends: the land beyond lies in shade, behind a line of paper flags. */
function paintBorder(brush: Brush, side: number, left: number, top: number): void {
  const isInside = left >= 1 && top >= 1 && left + TILE_LENGTHS <= side - 1 && top + TILE_LENGTHS <= side - 1;
  if (isInside) return;
  brush.fillStyle = OUTSIDE;
  brush.beginPath();
  brush.rect(left, top, TILE_LENGTHS, TILE_LENGTHS);
  brush.rect(0, 0, side, side);
  brush.fill('evenodd');
  brush.strokeStyle = BORDER;
  brush.globalAlpha = 0.75;
  brush.lineWidth = 0.16;
  brush.setLineDash([1, 1]);
  brush.strokeRect(0, 0, side, side);
  brush.setLineDash([]);
  brush.globalAlpha = 0.2;
  brush.lineWidth = 0.9;
  brush.strokeRect(0.45, 0.45, side - 0.9, side - 0.9);
  brush.globalAlpha = 1;
}

function tileAt(length: number): number {
  return Math.floor(length / TILE_LENGTHS);
}

/** Columns and rows are small and may be negative. */
function keyOf(column: number, row: number): number {
  return (row + 500) * 1000 + column + 500;
}
