// A pool of sprites with one texture: taken in order each frame, the rest hidden.
import type { Container, Sprite, Texture } from 'pixi.js';
import { pinned } from './paper';

export class SpritePool {
  private readonly sprites: Sprite[] = [];
  private used = 0;
  private shown = 0;

  constructor(
    private readonly layer: Container,
    private readonly texture: Texture,
    private readonly pxPerLength: number,
  ) {}

  begin(): void {
    this.used = 0;
  }

  take(): Sprite {
    let sprite = this.sprites[this.used];
    if (sprite === undefined) {
      sprite = pinned(this.texture, this.pxPerLength);
      this.sprites.push(sprite);
      this.layer.addChild(sprite);
    }
    this.used += 1;
    sprite.visible = true;
    return sprite;
  }

  end(): void {
    for (let index = this.used; index < this.shown; index += 1) (this.sprites[index] as Sprite).visible = false;
    this.shown = this.used;
  }
}
