// All that is drawn on the canvas, in one list: each entry reads the frame and keeps to its own layer.
import type { Frame } from '../frame';
import { hueOf } from '../../shared/palette';
import { Arc } from './arc';
import { Bullets } from './bullets';
import { Clouds } from './clouds';
import { Effects } from './effects';
import { Land } from './land';
import { Planes } from './planes';
import { Stage, type System } from './stage';
import { Tags } from './tags';
import { Trails } from './trails';

export interface SceneOptions {
  nameOf(pilot: number): string | undefined;
}

export class Scene {
  private readonly systems: readonly System[];

  static async open(host: HTMLElement, options: SceneOptions): Promise<Scene> {
    const stage = await Stage.open(host);
    return new Scene(stage, new Effects(stage), options);
  }

  private constructor(
    readonly stage: Stage,
    private readonly effects: Effects,
    options: SceneOptions,
  ) {
    this.systems = [
      new Land(),
      new Clouds(stage),
      new Trails(stage),
      new Bullets(stage),
      new Planes(),
      effects,
      new Arc(stage),
      new Tags(stage, options.nameOf),
    ];
  }

  draw(frame: Frame): void {
    this.stage.aim(frame);
    for (const system of this.systems) system.update(frame, this.stage);
    this.stage.draw();
  }

  hit(x: number, y: number, isOwn: boolean): void {
    this.effects.hit(x, y, isOwn);
  }

  explode(x: number, y: number, hue: number): void {
    this.effects.explode(x, y, Number.parseInt(hueOf(hue).css.slice(1), 16));
  }
}
