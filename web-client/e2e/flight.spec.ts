import { expect, test } from '@playwright/test';
import { flyFromLobby, newcomer, read, say } from './pilot';

test('from the lobby into the air: the plane flies, turns and shoots', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const from = await read(page, 'position');
  await expect.poll(async () => distance(from, await read(page, 'position'))).toBeGreaterThan(2);

  const heading = await read(page, 'heading');
  await page.keyboard.down('KeyD');
  await expect.poll(async () => turned(heading, await read(page, 'heading'))).toBeGreaterThan(0.4);
  await page.keyboard.up('KeyD');

  // Protected pilots cannot shoot for a moment after they took off.
  await page.keyboard.down('Space');
  await page.waitForFunction(() => (window.__aerodrome?.ownBullets ?? 0) > 0);
  await page.keyboard.up('Space');

  expect((await read(page, 'planes')).length).toBeGreaterThan(0);
  await expect(page.locator('#readout')).toHaveText(/\d+ ms · \d+ frames\/s/);
  await expect(page.locator('#rank')).toHaveText(/\d+ of \d+/);
  await expect(page.locator('#top li').first()).toBeVisible();
  await page.context().close();
});

test('the mouse turns the plane towards the pointer', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  await page.mouse.move(480, 300);
  await page.mouse.move(480, 20, { steps: 4 });
  await expect.poll(async () => turned(-Math.PI / 2, await read(page, 'heading'))).toBeLessThan(0.6);
  await page.context().close();
});

test('a second window sees the first pilot and what was said before', async ({ browser }) => {
  const first = await newcomer(browser);
  await flyFromLobby(first, 'Paris');
  await say(first, 'Good evening, tower');
  await expect(first.locator('#chat-lines')).toContainText('Good evening, tower');

  const second = await newcomer(browser);
  await flyFromLobby(second, 'Paris');
  await expect(second.locator('#chat-lines')).toContainText('Good evening, tower');
  const pilot = await read(first, 'pilot');
  expect(await read(second, 'pilot')).not.toBe(pilot);
  await expect(second.locator('#top')).toBeVisible();

  await say(second, 'Good evening to you');
  await expect(first.locator('#chat-lines')).toContainText('Good evening to you');
  await flyTogether(first, second, pilot);
  await first.context().close();
  await second.context().close();
});

/** The first circles slowly, the second steers for it by what tests may read, until it is in the picture. */
async function flyTogether(first: Awaited<ReturnType<typeof newcomer>>, second: typeof first, pilot: number): Promise<void> {
  await first.keyboard.down('KeyD');
  await first.keyboard.down('KeyS');
  const deadline = Date.now() + 45_000;
  while (Date.now() < deadline) {
    if ((await read(second, 'planes')).includes(pilot)) return;
    const [goal, at] = [await read(first, 'position'), await read(second, 'position')];
    const angle = Math.atan2(goal.y - at.y, goal.x - at.x);
    await second.mouse.move(480 + Math.cos(angle) * 200, 300 + Math.sin(angle) * 200, { steps: 2 });
    await second.waitForTimeout(150);
  }
  throw new Error('The second pilot never saw the first.');
}

test('a phone flies by touch', async ({ browser }) => {
  const page = await newcomer(browser, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await flyFromLobby(page);
  const widest = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(widest).toBeLessThanOrEqual(360);

  const session = await page.context().newCDPSession(page);
  const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', points: { x: number; y: number; id: number }[]): Promise<unknown> =>
    session.send('Input.dispatchTouchEvent', { type, touchPoints: points });
  // Left thumb pulls up, right thumb holds the trigger.
  await touch('touchStart', [{ x: 90, y: 560, id: 1 }]);
  await touch('touchMove', [{ x: 90, y: 500, id: 1 }]);
  await expect.poll(async () => turned(-Math.PI / 2, await read(page, 'heading'))).toBeLessThan(0.6);
  const fire = await page.locator('#touch-fire').boundingBox();
  expect(fire?.width).toBeGreaterThanOrEqual(48);
  const trigger = { x: (fire?.x ?? 0) + 20, y: (fire?.y ?? 0) + 20, id: 2 };
  await touch('touchStart', [{ x: 90, y: 500, id: 1 }, trigger]);
  await page.waitForFunction(() => (window.__aerodrome?.ownBullets ?? 0) > 0);
  await touch('touchEnd', []);
  await page.context().close();
});

function distance(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** How far a heading is from another, 0..π. */
function turned(from: number, to: number): number {
  return Math.abs(Math.atan2(Math.sin(to - from), Math.cos(to - from)));
}
