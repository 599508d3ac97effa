// The frame loop: the same steps in the same order for every rendered frame, whatever the tick rate.
//
// Input comes first and is sent before the picture is asked for, so that the very picture that follows shows the answer to
// a key. A hidden page draws no pictures: its input is sent by `sendInput`, without one.
import { createFrame, type Frame } from './frame';
import { FrameTimes } from './frame-times';

const FPS_WINDOW_MS = 500;
/** A tick and a little: inputs go out once a tick, and those of this one may be gone. */
const SEND_INPUT_MS = 20;

export interface FrameSteps {
  /** In this order: read the input, send it, fill the frame with what to draw now, handle events, draw, do the rest. */
  steer(now: number): void;
  flush(): void;
  view(now: number, frame: Frame): void;
  events(frame: Frame): void;
  draw(frame: Frame): void;
  afterDraw(frame: Frame): void;
}

export interface FrameRate {
  frames: number;
  fps: number;
  readonly times: FrameTimes;
}

/** Runs for as long as the page lives. `sendInput`: what input wants now is sent now, or with the next tick. */
export function run(steps: FrameSteps): { frame: Frame; rate: FrameRate; sendInput(): void } {
  const frame = createFrame();
  const rate: FrameRate = { frames: 0, fps: 0, times: new FrameTimes() };
  let windowAt = performance.now();
  let windowFrames = 0;
  let lastAt = 0;
  // A page that was hidden drew nothing, which says nothing about how fast it draws.
  document.addEventListener('visibilitychange', () => {
    lastAt = 0;
    rate.times.clear();
  });

  const step = (): void => {
    requestAnimationFrame(step);
    // Not the callback's time stamp: that one lies before messages that were received meanwhile.
    const now = performance.now();
    if (lastAt > 0) rate.times.push(now - lastAt);
    lastAt = now;
    steps.steer(now);
    steps.flush();
    steps.view(now, frame);
    steps.events(frame);
    steps.draw(frame);
    steps.afterDraw(frame);
    rate.frames += 1;
    windowFrames += 1;
    if (now - windowAt < FPS_WINDOW_MS) return;
    rate.fps = (windowFrames * 1000) / (now - windowAt);
    windowAt = now;
    windowFrames = 0;
  };
  requestAnimationFrame(step);
  return { frame, rate, sendInput: inputSender(steps) };
}

/** Messages to ourselves are its clock: browsers slow the timers of hidden pages, but not those. */
function inputSender(steps: FrameSteps): () => void {
  const { port1, port2 } = new MessageChannel();
  let until = Number.NEGATIVE_INFINITY;
  const go = (): void => {
    const now = performance.now();
    steps.steer(now);
    steps.flush();
    if (now < until) port2.postMessage(null);
  };
  port1.onmessage = go;
  return () => {
    until = performance.now() + SEND_INPUT_MS;
    go();
  };
}
