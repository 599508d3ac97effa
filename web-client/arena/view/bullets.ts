// Bullets: slips of paper, the own ones in signal orange so that aim can be corrected.
import type { BulletView, Frame } from '../frame';
import { cut, paint } from './paper';
import { SpritePool } from './sprites';
import type { Stage, System } from './stage';

const PX_PER_LENGTH = 96;
const OWN = 0xffa27f;
const OTHER = 0xf2ebdd;
const FADES_AFTER = 0.75;

export class Bullets implements System {
  private readonly pool: SpritePool;

  constructor(stage: Stage) {
    const texture = cut(0.62, 0.2, PX_PER_LENGTH, (brush) => {
      brush.fillStyle = '#ffffff55';
      brush.beginPath();
      brush.moveTo(-0.3, 0);
      brush.lineTo(0.16, -0.055);
      brush.lineTo(0.16, 0.055);
      brush.fill();
      brush.fillStyle = '#ffffff';
      brush.beginPath();
      brush.ellipse(0.13, 0, 0.15, 0.06, 0, 0, 2 * Math.PI);
      brush.fill();
    });
    this.pool = new SpritePool(stage.bullets, texture, PX_PER_LENGTH);
  }

  update(frame: Frame): void {
    this.pool.begin();
    for (let index = 0; index < frame.bulletCount; index += 1) {
      const bullet = frame.bullets[index] as BulletView;
      const sprite = this.pool.take();
      sprite.position.set(bullet.x, bullet.y);
      sprite.rotation = bullet.heading;
      paint(sprite, bullet.isOwn ? OWN : OTHER);
      sprite.alpha = bullet.age < FADES_AFTER ? 1 : Math.max(0, (1 - bullet.age) / (1 - FADES_AFTER));
    }
    this.pool.end();
  }
}
