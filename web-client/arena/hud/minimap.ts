// The map: how crowded each part of the field is, the planes nearby, the own one as an arrow, the picture's frame.
import { byId } from '../../shared/dom';
import { hueOf, NIGHT } from '../../shared/palette';
import type { Frame, PlaneView } from '../frame';

const REDRAW_MS = 100;
const DENSITY_ALPHA = [0, 0.16, 0.3, 0.48] as const;
const PAD_PX = 12;

export class Minimap {
  private readonly canvas = byId<HTMLCanvasElement>('minimap');
  private readonly brush = this.canvas.getContext('2d', { willReadFrequently: true });
  private drawnAt = 0;

  /** `densities`: 0..3 a cell, row by row. */
  update(frame: Frame, densities: () => Uint8Array, cells: number): void {
    if (this.brush === null || frame.now - this.drawnAt < REDRAW_MS || frame.fieldSide <= 0) return;
    this.drawnAt = frame.now;
    const side = this.canvas.width - 2 * PAD_PX;
    this.brush.setTransform(1, 0, 0, 1, 0, 0);
    this.brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.brush.translate(PAD_PX, PAD_PX);
    this.crowds(this.brush, densities(), cells, side / cells);
    this.brush.strokeStyle = NIGHT.quiet;
    this.brush.lineWidth = 2;
    this.brush.strokeRect(0, 0, side, side);
    this.planes(this.brush, frame, side / frame.fieldSide);
  }

  private crowds(brush: CanvasRenderingContext2D, densities: Uint8Array, cells: number, size: number): void {
    brush.fillStyle = NIGHT.ink;
    for (let index = 0; index < cells * cells; index += 1) {
      const density = densities[index] ?? 0;
      if (density === 0) continue;
      brush.globalAlpha = DENSITY_ALPHA[Math.min(3, density)] ?? 0;
      brush.fillRect((index % cells) * size + 1, Math.floor(index / cells) * size + 1, size - 2, size - 2);
    }
    brush.globalAlpha = 1;
  }

  private planes(brush: CanvasRenderingContext2D, frame: Frame, perLength: number): void {
    for (let index = 0; index < frame.planeCount; index += 1) {
      const plane = frame.planes[index] as PlaneView;
      if (plane.isOwn) continue;
      brush.fillStyle = hueOf(plane.hue).css;
      brush.fillRect(plane.x * perLength - 3.5, plane.y * perLength - 3.5, 7, 7);
    }
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
