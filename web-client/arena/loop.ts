// The heartbeat of the page: once a rendered frame, in a fixed order, whatever the tick rate.
//
// Hands come first and what they want goes out before the picture is asked for, so that the very picture that follows
// shows the answer to a key. A hidden page has no pictures: what hands want then goes out in a hurry, without one.
import { createFrame, type Frame } from './frame';
import { FrameTimes } from './frame-times';

const FPS_WINDOW_MS = 500;
/** A tick and a little: inputs go out once a tick, and those of this one may be gone. */
const HURRY_MS = 20;

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

/** Runs for as long as the page lives. `hurry`: what hands want now goes out now, or with the next tick. */
export function run(beat: Beat): { frame: Frame; pace: Pace; hurry(): void } {
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
  return { frame, pace, hurry: hurrier(beat) };
}

/** Messages to ourselves are its clock: browsers slow the timers of hidden pages, but not those. */
function hurrier(beat: Beat): () => void {
  const { port1, port2 } = new MessageChannel();
  let until = Number.NEGATIVE_INFINITY;
  const go = (): void => {
    const now = performance.now();
    beat.steer(now);
    beat.flush();
    if (now < until) port2.postMessage(null);
  };
  port1.onmessage = go;
  return () => {
    until = performance.now() + HURRY_MS;
    go();
  };
}
