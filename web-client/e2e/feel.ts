// What is measured of how it feels, in the page itself: no message of the test runner lies between cause and effect.
import { expect, type Page } from '@playwright/test';
import { read } from './pilot';

/** Half of the round trip that the panel is told to add. */
export const LATENCY_EACH_WAY_MS = 75;
/** The heading must have rested for so many pictures before a key is pressed: no autopilot, nobody rammed us. */
const REST_FRAMES = 8;
const ANSWER_TIMEOUT_MS = 5_000;

interface Watch {
  /** Resolves once the heading rests. */
  calm: Promise<void>;
  /** Rendered frames from the key to the first that shows another heading; 0 if the plane was lost meanwhile. */
  answer: Promise<number>;
}

/** Sets the line by the sliders of the network panel, as a person would, and waits until the game has adapted to it. */
export async function setLatency(page: Page): Promise<void> {
  await page.keyboard.press('n');
  await expect(page.locator('#network')).toBeVisible();
  await page.locator('#net-latency').fill(String(LATENCY_EACH_WAY_MS));
  await expect.poll(() => read(page, 'rtt')).toBeGreaterThanOrEqual(2 * LATENCY_EACH_WAY_MS);
  // Inputs come in time again: the own clock has moved ahead.
  await expect(page.locator('#net-lead')).toHaveText(/^[1-9]/);
  await page.keyboard.press('Escape');
  await expect(page.locator('#network')).toBeHidden();
}

/** How many rendered frames pass between a key and the first that shows the answer; `undefined` if the plane was lost. */
export async function framesToAnswer(page: Page, key: 'KeyA' | 'KeyD'): Promise<number | undefined> {
  await page.evaluate(
    ([rest, timeoutMs]) => {
      const game = window.__aerodrome;
      if (game === undefined) throw new Error('There is no game on this page.');
      let calmed = (): void => undefined;
      let answered = (_frames: number): void => undefined;
      const watch: Watch = { calm: new Promise((resolve) => (calmed = resolve)), answer: new Promise((resolve) => (answered = resolve)) };
      Object.assign(window, { __watch: watch });
      let heading = Number.NaN;
      let restedFrames = 0;
      let pressedAt = -1;
      const until = performance.now() + timeoutMs;
      addEventListener('keydown', () => (pressedAt = game.frames), { capture: true, once: true });
      const look = (): void => {
        const now = game.heading;
        restedFrames = now === heading ? restedFrames + 1 : 0;
        if (pressedAt >= 0 && (now !== heading || performance.now() > until)) return answered(Number.isNaN(now) ? 0 : game.frames - pressedAt);
        heading = now;
        if (restedFrames >= rest) calmed();
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    },
    [REST_FRAMES, ANSWER_TIMEOUT_MS] as const,
  );
  await page.evaluate(() => (window as unknown as { __watch: Watch }).__watch.calm);
  await page.keyboard.down(key);
  const frames = await page.evaluate(() => (window as unknown as { __watch: Watch }).__watch.answer);
  await page.keyboard.up(key);
  return frames === 0 ? undefined : frames;
}

/** So many answers, to the left and to the right in turn. */
export async function answers(page: Page, count: number): Promise<number[]> {
  const all: number[] = [];
  while (all.length < count) {
    const frames = await framesToAnswer(page, all.length % 2 === 0 ? 'KeyD' : 'KeyA');
    if (frames !== undefined) all.push(frames);
  }
  return all;
}
