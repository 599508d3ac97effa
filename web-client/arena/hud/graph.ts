// The time between pictures as a row of bars, the newest on the right, with a line at 60 a second.
import { NIGHT } from '../../shared/palette';
import { KEPT_COUNT, type FrameTimes } from '../frame-times';

/** The height of the graph. */
const TOP_MS = 50;
const SIXTY_HZ_MS = 1000 / 60;
/** A picture that came a little late, and one that was missed twice: where the colour changes. */
const LATE_MS = 20;
const VERY_LATE_MS = 34;
const LABEL = '16.7 ms';
/** In pixels of the canvas, which is drawn at twice its size. */
const LABEL_WIDE = 76;
const LABEL_HIGH = 20;

export class Graph {
  private readonly brush: CanvasRenderingContext2D | null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.brush = canvas.getContext('2d', { willReadFrequently: true });
    if (this.brush !== null) this.brush.font = `${LABEL_HIGH}px sans-serif`;
  }

  draw(times: FrameTimes): void {
    const { brush, canvas } = this;
    if (brush === null) return;
    const { width, height } = canvas;
    const bar = width / KEPT_COUNT;
    brush.clearRect(0, 0, width, height);
    for (let age = 0; age < times.count; age += 1) {
      const ms = times.at(age);
      const high = (Math.min(ms, TOP_MS) / TOP_MS) * height;
      brush.fillStyle = ms > VERY_LATE_MS ? NIGHT.trouble : ms > LATE_MS ? NIGHT.waiting : NIGHT.quiet;
      brush.fillRect(width - (age + 1) * bar, height - high, bar - 1, high);
    }
    const line = height - (SIXTY_HZ_MS / TOP_MS) * height;
    brush.fillStyle = NIGHT.ground;
    brush.fillRect(0, line - LABEL_HIGH - 6, LABEL_WIDE, LABEL_HIGH + 4);
    brush.fillStyle = NIGHT.ink;
    brush.fillRect(0, line - 1, width, 2);
    brush.fillText(LABEL, 0, line - 8);
  }
}
