// The map: how crowded each part of the field is, the planes nearby, the own one as an arrow, the picture's frame.
import { byId } from '../../shared/dom';
import { hueOf, NIGHT } from '../../shared/palette';
import type { Frame, PlaneView } from '../frame';

const REDRAW_MS = 100;
/** The field counts its sectors anew once a second. */
const RECOUNT_MS = 500;
const DENSITY_ALPHA = [0, 0.16, 0.3, 0.48] as const;
const PAD_PX = 12;

/** A part of the field with planes in it, in cells. */
export interface Crowd {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** 1..3 */
  readonly density: number;
}

/** `densities`: of all sectors, line by line; `cells`: a side of the field. A sector is as few whole cells wide as cover
 * the field with so many of them, so the last of a line may reach beyond it. */
export function crowds(densities: ArrayLike<number>, cells: number): Crowd[] {
  const side = Math.round(Math.sqrt(densities.length));
  const wide = Math.ceil(cells / side);
  const found: Crowd[] = [];
  for (let index = 0; index < densities.length; index += 1) {
    const density = Math.min(3, densities[index] ?? 0);
    if (density === 0) continue;
    const x = (index % side) * wide;
    const y = Math.floor(index / side) * wide;
    found.push({ x, y, width: Math.min(wide, cells - x), height: Math.min(wide, cells - y), density });
  }
  return found;
}

export class Minimap {
  private readonly canvas = byId<HTMLCanvasElement>('minimap');
  private readonly brush = this.canvas.getContext('2d', { willReadFrequently: true });
  private drawnAt = 0;
  private countedAt = 0;
  private found: readonly Crowd[] = [];

  /** `densities`: 0..3 a sector, line by line; `cells`: a side of the field. */
  update(frame: Frame, densities: () => Uint8Array, cells: number): void {
    if (this.brush === null || frame.now - this.drawnAt < REDRAW_MS || frame.fieldSide <= 0) return;
    this.drawnAt = frame.now;
    if (frame.now - this.countedAt >= RECOUNT_MS) {
      this.countedAt = frame.now;
      this.found = crowds(densities(), cells);
    }
    const side = this.canvas.width - 2 * PAD_PX;
    this.brush.setTransform(1, 0, 0, 1, 0, 0);
    this.brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.brush.translate(PAD_PX, PAD_PX);
    this.crowds(this.brush, side / cells);
    this.brush.strokeStyle = NIGHT.quiet;
    this.brush.lineWidth = 2;
    this.brush.strokeRect(0, 0, side, side);
    this.planes(this.brush, frame, side / frame.fieldSide);
  }

  private crowds(brush: CanvasRenderingContext2D, perCell: number): void {
    brush.fillStyle = NIGHT.ink;
    for (const { x, y, width, height, density } of this.found) {
      brush.globalAlpha = DENSITY_ALPHA[density] ?? 0;
      brush.fillRect(x * perCell + 1, y * perCell + 1, width * perCell - 2, height * perCell - 2);
    }
    brush.globalAlpha = 1;
  }

  private planes(brush: CanvasRenderingContext2D, frame: Frame, perLength: number): void {
    for (let index = 0; index < frame.planeCount; index += 1) {
      const plane = frame.planes[index] as PlaneView;
      if (plane.isOwn) continue;
      brush.globalAlpha = plane.opacity;
      brush.fillStyle = hueOf(plane.hue).css;
      brush.fillRect(plane.x * perLength - 3.5, plane.y * perLength - 3.5, 7, 7);
    }
    brush.globalAlpha = 1;
    brush.save();
    brush.translate(frame.cameraX * perLength, frame.cameraY * perLength);
    brush.rotate(frame.own?.heading ?? 0);
    brush.fillStyle = NIGHT.accent;
    brush.strokeStyle = NIGHT.ground;
    brush.beginPath();
    brush.moveTo(13, 0);
    brush.lineTo(-9, 8);
    brush.lineTo(-5, 0);
    brush.lineTo(-9, -8);
    brush.closePath();
    brush.stroke();
    brush.fill();
    brush.restore();
  }
}
