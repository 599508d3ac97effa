// Cutting paper: pictures are drawn once on a canvas, in the units of what they show, and become textures.
import { CanvasSource, Sprite, Texture } from 'pixi.js';

export type Brush = CanvasRenderingContext2D;

/** A texture whose drawing spans `width` × `height` units around the origin, at so many pixels a unit. */
export function cut(width: number, height: number, pxPerUnit: number, draw: (brush: Brush) => void): Texture {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.ceil(width * pxPerUnit));
  canvas.height = Math.max(1, Math.ceil(height * pxPerUnit));
  const brush = brushOf(canvas);
  brush.setTransform(pxPerUnit, 0, 0, pxPerUnit, canvas.width / 2, canvas.height / 2);
  draw(brush);
  return textureOf(canvas);
}

/** Mipmaps keep small planes on small screens from shimmering. */
export function textureOf(canvas: HTMLCanvasElement, autoGenerateMipmaps = true): Texture {
  return new Texture({ source: new CanvasSource({ resource: canvas, autoGenerateMipmaps, scaleMode: 'linear' }) });
}

/** Painted on the processor: pictures are uploaded once, and a machine without a graphics card would paint them slowly. */
export function brushOf(canvas: HTMLCanvasElement): Brush {
  const brush = canvas.getContext('2d', { willReadFrequently: true });
  if (brush === null) throw new Error('This browser gives no 2D canvas.');
  return brush;
}

/** A centred sprite of a texture that was cut at so many pixels a unit: one unit of it is one unit of its parent. */
export function pinned(texture: Texture, pxPerUnit: number): Sprite {
  const sprite = new Sprite({ texture, anchor: 0.5 });
  sprite.scale.set(1 / pxPerUnit);
  return sprite;
}

/** Shows a sprite of `pinned`, or hides it by giving it no size: another `visible` would make Pixi list the scene anew. */
export function show(sprite: Sprite, isShown: boolean, pxPerUnit: number): void {
  sprite.scale.set(isShown ? 1 / pxPerUnit : 0);
}

/** Sets a tint that is not there yet; Pixi takes every tint it is given to pieces. */
export function paint(sprite: Sprite, tint: number): void {
  if (sprite.tint !== tint) sprite.tint = tint;
}

/** A small counter-free generator (mulberry32): pictures only, so that every visitor sees the same landscape. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
