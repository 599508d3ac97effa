// The stage: renderer, layers from the ground up, and the camera over the own plane.
//
// Everything in `world` is in plane lengths. The replica surely knows ±16 lengths around the plane, so nothing farther
// is ever on screen, wherever the camera leans.
import { Container, WebGLRenderer } from 'pixi.js';
// The page's policy forbids code made from text, which PixiJS would write for its uniforms.
import 'pixi.js/unsafe-eval';
import type { Frame } from '../frame';
import { Detail } from './detail';

const VIEW_WIDTH_LENGTHS = 32;
const VIEW_HEIGHT_LENGTHS = 26;
const KNOWN_LENGTHS = 16;
/** The camera leans ahead of the plane by at most this much, where the known part allows it. */
const LEAN_MAX_LENGTHS = 2.6;
const LEAN_MS = 700;
/** A camera that moved farther between two pictures is somewhere else (a new plane, back after a lost line): fades in. */
const LEAP_LENGTHS = 4;
const FADE_IN_MS = 350;
const RESOLUTION_MAX = 2;
const BATCH_TEXTURES = 4;
const HIDDEN_PAUSE_MS = 3_000;
const BACKGROUND = '#12202b';

/** What draws: reads the frame, changes only its own layer. */
export interface System {
  update(frame: Frame, stage: Stage): void;
}

export class Stage {
  readonly world = new Container();
  readonly ground = new Container();
  readonly shadows = new Container();
  readonly trails = new Container();
  readonly bullets = new Container();
  readonly planes = new Container();
  readonly effects = new Container();
  readonly sky = new Container();
  readonly labels = new Container();
  /** Size in CSS pixels, CSS pixels a length, and device pixels a CSS pixel. */
  width = 1;
  height = 1;
  scale = 1;
  resolution = 1;
  /** Centre of the picture, in lengths. */
  cameraX = 0;
  cameraY = 0;
  /** Where the own plane is drawn, in CSS pixels. */
  ownX = 0;
  ownY = 0;
  /** Set by effects: an offset in CSS pixels for this frame. */
  shakeX = 0;
  shakeY = 0;
  private readonly calm = matchMedia('(prefers-reduced-motion: reduce)');
  private readonly detail = new Detail();
  private aimedAt = 0;
  private seenX = 0;
  private seenY = 0;
  private leanX = 0;
  private leanY = 0;
  private readonly renderer = new WebGLRenderer();

  static async open(host: HTMLElement): Promise<Stage> {
    const stage = new Stage();
    await stage.renderer.init({
      width: 1,
      height: 1,
      background: BACKGROUND,
      resolution: stage.pickResolution(),
      autoDensity: true,
      antialias: false,
      powerPreference: 'high-performance',
      // Neither events nor accessibility of the canvas: hands and screen readers are served by the DOM above it.
      skipExtensionImports: true,
    });
    // A shader that chooses among 16 textures a pixel is what costs most where there is no graphics card.
    stage.renderer.limits.maxBatchableTextures = BATCH_TEXTURES;
    const { ground, shadows, trails, bullets, planes, effects, sky, labels } = stage;
    stage.world.addChild(ground, shadows, trails, bullets, planes, effects, sky, labels);
    host.append(stage.canvas);
    stage.fit();
    addEventListener('resize', () => stage.fit());
    return stage;
  }

  /** The system asks for less motion: nothing shakes or flashes. */
  get isCalm(): boolean {
    return this.calm.matches;
  }

  get hasClouds(): boolean {
    return this.detail.level.clouds;
  }

  get canvas(): HTMLCanvasElement {
    return this.renderer.canvas as HTMLCanvasElement;
  }

  /** Moves the camera to this frame. Systems that follow see the new place. */
  aim(frame: Frame): void {
    this.keepPace(frame.now);
    this.noteLeap(frame);
    const own = frame.own;
    const ease = 1 - Math.exp(-frame.deltaMs / LEAN_MS);
    this.leanX += ((own ? this.lean(Math.cos(own.heading), this.width) : 0) - this.leanX) * ease;
    this.leanY += ((own ? this.lean(Math.sin(own.heading), this.height) : 0) - this.leanY) * ease;
    this.cameraX = frame.cameraX + this.leanX;
    this.cameraY = frame.cameraY + this.leanY;
    this.ownX = this.width / 2 - this.leanX * this.scale;
    this.ownY = this.height / 2 - this.leanY * this.scale;
  }

  draw(): void {
    const { world, scale } = this;
    world.scale.set(scale);
    world.position.set(
      this.width / 2 - this.cameraX * scale + this.shakeX,
      this.height / 2 - this.cameraY * scale + this.shakeY,
    );
    this.renderer.render(world);
  }

  private noteLeap({ cameraX, cameraY }: Frame): void {
    const leap = Math.hypot(cameraX - this.seenX, cameraY - this.seenY);
    this.seenX = cameraX;
    this.seenY = cameraY;
    if (leap > LEAP_LENGTHS) this.canvas.animate({ opacity: [0, 1] }, FADE_IN_MS);
  }

  private keepPace(now: number): void {
    const pause = now - this.aimedAt;
    this.aimedAt = now;
    // A longer pause is a hidden page, no slow one.
    if (pause < HIDDEN_PAUSE_MS && this.detail.tick(pause)) this.fit();
  }

  private fit(): void {
    this.width = Math.max(1, innerWidth);
    this.height = Math.max(1, innerHeight);
    this.scale = Math.max(this.width / VIEW_WIDTH_LENGTHS, this.height / VIEW_HEIGHT_LENGTHS);
    this.resolution = this.pickResolution();
    this.renderer.resize(this.width, this.height, this.resolution);
  }

  private pickResolution(): number {
    return Math.min(RESOLUTION_MAX, Math.max(1, devicePixelRatio || 1)) * this.detail.level.resolution;
  }

  private lean(direction: number, sidePx: number): number {
    const free = KNOWN_LENGTHS - sidePx / 2 / this.scale;
    return direction * Math.max(0, Math.min(LEAN_MAX_LENGTHS, free));
  }
}
