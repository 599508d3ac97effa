// Name tags under the planes, upright and equally large at every zoom; each is drawn once per name.
import { Sprite, type Texture } from 'pixi.js';
import type { Frame, PlaneView } from '../frame';
import { brushOf, textureOf } from './paper';
import type { Stage, System } from './stage';

const FONT_PX = 13;
const HEIGHT_PX = 18;
const BELOW_LENGTHS = 0.98;
const FONT = `600 ${FONT_PX}px 'DIN Condensed', Bahnschrift, 'Avenir Next Condensed', 'Roboto Condensed', 'Liberation Sans Narrow', 'DejaVu Sans Condensed', sans-serif`;
/** Drawn for the densest screens. */
const LETTER_RESOLUTION = 2;
const KEPT_MAX = 300;

interface Tag {
  sprite: Sprite;
  name: string;
  seen: number;
}

export class Tags implements System {
  private readonly tags = new Map<number, Tag>();
  private stamp = 0;

  constructor(
    private readonly stage: Stage,
    private readonly nameOf: (pilot: number) => string | undefined,
  ) {}

  update(frame: Frame, stage: Stage): void {
    this.stamp += 1;
    for (let index = 0; index < frame.planeCount; index += 1) {
      const plane = frame.planes[index] as PlaneView;
      if (!plane.isOwn) this.place(plane, stage);
    }
    this.tags.forEach(this.hideUnseen);
    if (this.tags.size > KEPT_MAX) this.forget();
  }

  private place(plane: PlaneView, stage: Stage): void {
    const name = this.nameOf(plane.id);
    if (name === undefined) return;
    let tag = this.tags.get(plane.id);
    if (tag === undefined || tag.name !== name) {
      tag?.sprite.destroy({ texture: true, textureSource: true });
      tag = this.write(plane.id, name);
    }
    tag.seen = this.stamp;
    tag.sprite.visible = true;
    tag.sprite.alpha = 0.86 * plane.opacity;
    tag.sprite.scale.set(1 / (stage.scale * LETTER_RESOLUTION));
    tag.sprite.position.set(plane.x, plane.y + BELOW_LENGTHS);
  }

  private write(pilot: number, name: string): Tag {
    const sprite = new Sprite({ texture: letter(name, LETTER_RESOLUTION), anchor: { x: 0.5, y: 0 } });
    this.stage.labels.addChild(sprite);
    const tag = { sprite, name, seen: 0 };
    this.tags.set(pilot, tag);
    return tag;
  }

  private readonly hideUnseen = (tag: Tag): void => {
    if (tag.seen !== this.stamp) tag.sprite.visible = false;
  };

  private forget(): void {
    for (const [pilot, tag] of this.tags) {
      if (tag.seen === this.stamp) continue;
      tag.sprite.destroy({ texture: true, textureSource: true });
      this.tags.delete(pilot);
    }
  }
}

function letter(name: string, resolution: number): Texture {
  const canvas = document.createElement('canvas');
  const brush = brushOf(canvas);
  brush.font = FONT;
  const width = Math.ceil(brush.measureText(name).width) + 8;
  canvas.width = Math.ceil(width * resolution);
  canvas.height = Math.ceil(HEIGHT_PX * resolution);
  brush.setTransform(resolution, 0, 0, resolution, 0, 0);
  brush.font = FONT;
  brush.textAlign = 'center';
  brush.textBaseline = 'middle';
  brush.lineWidth = 3;
  brush.lineJoin = 'round';
  brush.strokeStyle = '#0d1922d0';
  brush.strokeText(name, width / 2, HEIGHT_PX / 2);
  brush.fillStyle = '#f2ebdd';
  brush.fillText(name, width / 2, HEIGHT_PX / 2);
  return textureOf(canvas, false);
}
