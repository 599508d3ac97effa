// Paper clouds above the planes and their shadows on the ground; they pass faster than the ground, which gives height.
import type { Sprite } from 'pixi.js';
import type { Frame } from '../frame';
import { cut, pinned, seeded, type Brush } from './paper';
import type { Stage, System } from './stage';

const COUNT = 9;
const SHAPES = 4;
/** The pattern repeats after this many lengths. */
const WRAP_LENGTHS = 58;
const PARALLAX = 1.22;
const WIND_X = 0.55;
const WIND_Y = 0.16;
const PX_PER_LENGTH = 22;
const SHADOW_X = 2.2;
const SHADOW_Y = 3.1;

interface Cloud {
  x: number;
  y: number;
  paper: Sprite;
  shadow: Sprite;
}

export class Clouds implements System {
  private readonly clouds: Cloud[] = [];

  constructor(stage: Stage) {
    const random = seeded(77);
    const cutouts = Array.from({ length: SHAPES }, () => {
      const puffs = Array.from({ length: 7 }, (_, index) => ({ x: (index - 3) * 1.15 + random() - 0.5, y: (random() - 0.5) * 1.8, size: 0.9 + random() * 1.1 - Math.abs(index - 3) * 0.16 }));
      return {
        paper: cut(14, 8, PX_PER_LENGTH, (brush) => {
          blob(brush, puffs, 0, 0, 1, '#dfe8e6');
          blob(brush, puffs, -0.22, -0.28, 0.74, '#f7f2e6');
        }),
        shadow: cut(14, 8, PX_PER_LENGTH, (brush) => blob(brush, puffs, 0, 0, 1, '#0a141b')),
      };
    });
    for (let index = 0; index < COUNT; index += 1) {
      const cutout = cutouts[index % SHAPES];
      if (cutout === undefined) continue;
      const size = 0.8 + random() * 0.7;
      const paper = pinned(cutout.paper, PX_PER_LENGTH / size);
      const shadow = pinned(cutout.shadow, PX_PER_LENGTH / size);
      paper.alpha = 0.12;
      shadow.alpha = 0.15;
      stage.sky.addChild(paper);
      stage.shadows.addChild(shadow);
      // A loose grid, so that no part of the sky is crowded.
      this.clouds.push({ x: ((index % 3) + random() * 0.7) * (WRAP_LENGTHS / 3), y: (Math.floor(index / 3) + random() * 0.7) * (WRAP_LENGTHS / 3), paper, shadow });
    }
  }

  update(frame: Frame, stage: Stage): void {
    const seconds = frame.now / 1000;
    const isShown = stage.hasClouds;
    for (const cloud of this.clouds) {
      cloud.paper.visible = cloud.shadow.visible = isShown;
      if (!isShown) continue;
      const x = around(cloud.x + seconds * WIND_X - stage.cameraX * PARALLAX);
      const y = around(cloud.y + seconds * WIND_Y - stage.cameraY * PARALLAX);
      cloud.paper.position.set(stage.cameraX + x, stage.cameraY + y);
      cloud.shadow.position.set(stage.cameraX + x / PARALLAX + SHADOW_X, stage.cameraY + y / PARALLAX + SHADOW_Y);
    }
  }
}

function blob(brush: Brush, puffs: readonly { x: number; y: number; size: number }[], dx: number, dy: number, grow: number, tone: string): void {
  brush.fillStyle = tone;
  brush.beginPath();
  for (const { x, y, size } of puffs) {
    brush.moveTo(x + dx + size * grow, y + dy);
    brush.arc(x + dx, y + dy, size * grow, 0, 2 * Math.PI);
  }
  brush.fill();
}

/** Into -half..half of the repeating pattern. */
function around(value: number): number {
  const turned = ((value % WRAP_LENGTHS) + WRAP_LENGTHS) % WRAP_LENGTHS;
  return turned - WRAP_LENGTHS / 2;
}
