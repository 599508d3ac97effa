// The heartbeat of the page: once a rendered frame, in a fixed order, whatever the tick rate.
//
// Hands come first and what they want goes out before the picture is asked for, so that the very picture that follows
// shows the answer to a key.
import { createFrame, type Frame } from './frame';
import { FrameTimes } from './frame-times';

const FPS_WINDOW_MS = 500;

export interface Beat {
  /** In this order: hands, out it goes, the frame is filled with what to draw now, happenings, picture, the rest. */
  steer(now: number): void;
  flush(): void;
  look(now: number, frame: Frame): void;
  happen(frame: Frame): void;
  draw(frame: Frame): void;
  tend(frame: Frame): void;
}

export interface Pace {
  frames: number;
  fps: number;
  readonly times: FrameTimes;
}

/** Runs for as long as the page lives. */
export function run(beat: Beat): { frame: Frame; pace: Pace } {
  const frame = createFrame();
  const pace: Pace = { frames: 0, fps: 0, times: new FrameTimes() };
  let windowAt = performance.now();
  let windowFrames = 0;
  let lastAt = 0;
  // A page that was hidden drew nothing, which says nothing about how fast it draws.
  document.addEventListener('visibilitychange', () => {
    lastAt = 0;
    pace.times.clear();
  });

  const step = (): void => {
    requestAnimationFrame(step);
    // Not the callback's time stamp: that one lies before messages that were received meanwhile.
    const now = performance.now();
    if (lastAt > 0) pace.times.push(now - lastAt);
    lastAt = now;
    beat.steer(now);
    beat.flush();
    beat.look(now, frame);
    beat.happen(frame);
    beat.draw(frame);
    beat.tend(frame);
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
