// The heartbeat of the page: once a rendered frame, in a fixed order.
import { createFrame, type Frame } from './frame';

const FPS_WINDOW_MS = 500;

export interface Beat {
  /** Fills the frame with what to draw now. */
  look(now: number, frame: Frame): void;
  /** In this order: hands, happenings, picture, everything slower, and out it goes. */
  steer(frame: Frame): void;
  happen(frame: Frame): void;
  draw(frame: Frame): void;
  tend(frame: Frame): void;
  flush(): void;
}

export interface Pace {
  frames: number;
  fps: number;
}

/** Runs for as long as the page lives. */
export function run(beat: Beat): { frame: Frame; pace: Pace } {
  const frame = createFrame();
  const pace: Pace = { frames: 0, fps: 0 };
  let windowAt = performance.now();
  let windowFrames = 0;

  const step = (): void => {
    requestAnimationFrame(step);
    // Not the callback's time stamp: that one lies before messages that were received meanwhile.
    const now = performance.now();
    beat.look(now, frame);
    beat.steer(frame);
    beat.happen(frame);
    beat.draw(frame);
    beat.tend(frame);
    beat.flush();
    pace.frames += 1;
    windowFrames += 1;
    if (now - windowAt < FPS_WINDOW_MS) return;
    pace.fps = (windowFrames * 1000) / (now - windowAt);
    windowAt = now;
    windowFrames = 0;
  };
  requestAnimationFrame(step);
  return { frame, pace };
}
