// A small read-only object for tests and the curious: `window.__aerodrome`.
import type { Frame } from './frame';
import type { FrameRate } from './loop';

export interface TestHook {
  readonly fps: number;
  readonly frames: number;
  readonly pilot: number;
  readonly name: string;
  readonly position: { x: number; y: number };
  readonly heading: number;
  readonly alive: boolean;
  readonly synced: boolean;
  readonly score: number;
  readonly rtt: number;
  /** Milliseconds since the last message. */
  readonly silence: number;
  readonly planes: number[];
  readonly bullets: number;
  readonly ownBullets: number;
}

declare global {
  interface Window {
    __aerodrome?: TestHook;
  }
}

export function exposeTestHook(frame: Frame, rate: FrameRate, who: { pilot(): number; name(): string; rtt(): number; silence(): number }): void {
  const shown = <T extends { isOwn: boolean }>(list: readonly T[], count: number): readonly T[] => list.slice(0, count);
  window.__aerodrome = {
    get fps() { return rate.fps; },
    get frames() { return rate.frames; },
    get pilot() { return who.pilot(); },
    get name() { return who.name(); },
    get position() { return { x: frame.cameraX, y: frame.cameraY }; },
    get heading() { return frame.own?.heading ?? Number.NaN; },
    get alive() { return frame.isAlive; },
    get synced() { return frame.isSynced; },
    get score() { return frame.score; },
    get rtt() { return who.rtt(); },
    get silence() { return who.silence(); },
    get planes() { return shown(frame.planes, frame.planeCount).map((plane) => plane.id); },
    get bullets() { return frame.bulletCount; },
    get ownBullets() { return shown(frame.bullets, frame.bulletCount).filter((bullet) => bullet.isOwn).length; },
  };
}
