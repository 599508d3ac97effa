import { expect, test } from '@playwright/test';
import { SETTLE_MS } from '../arena/hud/diagnosis';
import { answers, setLatency } from './feel';
import { flyFromLobby, newcomer, read } from './pilot';

const ANSWERS_COUNT = 8;
/** A key that comes in the very tick of the last packet waits for the next tick, which may be another picture. */
const ANSWER_MAX_FRAMES = 2;
const CUT_MS = 10_000;
/** What the field may take after the cut: finding out, hello, welcome, the first frame. */
const RETURN_MAX_MS = 4_000;
/** Boosting, the fastest a plane flies. */
const SPEED_MAX_LENGTHS_PER_S = 13;

test('at a round trip of 150 ms the own plane answers a key in the next picture', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  await setLatency(page);
  const frames = await answers(page, ANSWERS_COUNT);
  test.info().annotations.push({ type: 'frames from key to answer', description: frames.join(' ') });
  expect(Math.max(...frames)).toBeLessThanOrEqual(ANSWER_MAX_FRAMES);
  expect(frames.filter((count) => count === 1).length).toBeGreaterThan(ANSWERS_COUNT / 2);
  await page.context().close();
});

test('a stall is told in plain words, and nothing is lost by it', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const sockets = (): Promise<number> => page.evaluate(() => (window as unknown as { __sockets: WebSocket[] }).__sockets.length);
  const before = await sockets();
  // Nobody is blamed before the page has settled.
  await page.waitForTimeout(SETTLE_MS + 1_000);
  await page.keyboard.press('n');
  await page.locator('#net-stall').click();
  await expect(page.locator('#service')).toContainText('Your network');
  await expect(page.locator('#service')).not.toContainText('Your network');
  expect(await sockets()).toBe(before);
  await page.context().close();
});

test('a cut of 10 s ends with the same page, pilot and score', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  await page.evaluate(() => Object.assign(window, { __marker: 'the same page' }));
  const [pilot, score, name] = [await read(page, 'pilot'), await read(page, 'score'), await read(page, 'name')];
  const note = page.locator('#link-state');

  await page.keyboard.press('n');
  const from = await read(page, 'position');
  const cutAt = Date.now();
  await page.locator('#net-cut').click();
  await expect(note).toContainText('Reconnecting');
  await expect(note).toBeHidden();
  await expect.poll(() => page.evaluate(() => Number((window.__aerodrome?.silence ?? Number.POSITIVE_INFINITY) < 200))).toBe(1);
  const awayMs = Date.now() - cutAt;
  expect(awayMs).toBeGreaterThanOrEqual(CUT_MS);
  expect(awayMs).toBeLessThan(CUT_MS + RETURN_MAX_MS);

  expect(await page.evaluate(() => (window as unknown as { __marker?: string }).__marker)).toBe('the same page');
  expect(await read(page, 'pilot')).toBe(pilot);
  expect(await read(page, 'name')).toBe(name);
  expect(await read(page, 'score')).toBe(score);
  // Unless somebody used the ten seconds, it is where it can have flown to, and flies on.
  if (await read(page, 'alive')) {
    const at = await read(page, 'position');
    expect(Math.hypot(at.x - from.x, at.y - from.y)).toBeLessThan(((awayMs + 500) / 1000) * SPEED_MAX_LENGTHS_PER_S);
  }
  await page.context().close();
});
