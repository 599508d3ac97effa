// A pool of sprites with one texture: taken in order each frame, the rest hidden; it never shrinks.
import type { Container, Sprite, Texture } from 'pixi.js';
import { pinned, show } from './paper';

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
    show(sprite, true, this.pxPerLength);
    return sprite;
  }

  end(): void {
    for (let index = this.used; index < this.shown; index += 1) show(this.sprites[index] as Sprite, false, this.pxPerLength);
    this.shown = this.used;
  }
}
