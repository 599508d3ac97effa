import { expect, test, type CDPSession, type Page } from '@playwright/test';
import { flyFromLobby, newcomer, read } from './pilot';

/** The byte of controls (SPEC A5.3) of a plane that nobody flies. */
const HANDS_OFF = 7 | (1 << 4);
const BOOST = 1 << 6;
const FIRE = 1 << 7;
const THROTTLE_FULL = 2 << 4;
const NEUTRAL_WITHIN_MS = 100;
const LEFT_FOR_SURE_MS = 1_000;

interface Sent {
  at: number;
  controls: number;
}

/** Keeps what the page says of its controls, as it goes over the wire. */
async function listen(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const sent: Sent[] = [];
    Object.assign(window, { __sent: sent });
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      const bytes = data as Uint8Array;
      const count = (bytes[0] ?? 0) & 15;
      // An input packet (SPEC A5.1): 11 bytes, then 6 per input, the last two of them its controls.
      if ((bytes[0] ?? 0) >= 128 && count > 0) sent.push({ at: performance.now(), controls: bytes[11 + 6 * count - 2] ?? 0 });
      send.call(this, data);
    };
  });
}

const lastSent = (page: Page): Promise<number> =>
  page.evaluate(() => (window as unknown as { __sent: Sent[] }).__sent.at(-1)?.controls ?? -1);

// One flight for all three: what is shared is the way into the air. The last one stops the pictures for good.
test.describe.serial('at a desk', () => {
  let page: Page;

  test.beforeAll(async ({ browser }) => {
    page = await newcomer(browser);
    await listen(page);
    await flyFromLobby(page);
  });

  test.afterAll(() => page.context().close());

  test('the keys come back to the plane: after the dialog, from a button, by Esc', async () => {
    const fires = async (): Promise<void> => {
      await page.keyboard.down('Space');
      await expect.poll(() => lastSent(page)).toBe(HANDS_OFF | FIRE);
      await page.keyboard.up('Space');
      await expect.poll(() => lastSent(page)).toBe(HANDS_OFF);
    };
    // By keyboard: the dialog, and back by its button, then by Esc.
    for (const close of ['Enter', 'Escape']) {
      await page.locator('#me').focus();
      await page.keyboard.press('Space');
      await expect(page.locator('#rename')).toBeVisible();
      await page.keyboard.press(close);
      await expect(page.locator('#rename')).toBeHidden();
      await fires();
      await expect(page.locator('#rename')).toBeHidden();
    }
    // A focused button has Space, the plane the letters; pressed, it gives Space back.
    await page.locator('#mute').focus();
    await page.keyboard.down('KeyD');
    await expect.poll(() => lastSent(page)).toBe(14 | (1 << 4));
    await page.keyboard.up('KeyD');
    await page.keyboard.press('Space');
    await expect(page.locator('#mute')).toHaveAttribute('aria-pressed', 'false');
    await fires();
    await expect(page.locator('#mute')).toHaveAttribute('aria-pressed', 'false');
    // Esc, from a button, a text and a slider.
    await page.keyboard.press('n');
    for (const place of ['#mute', '#chat-text', '#net-latency']) {
      await page.locator(place).focus();
      await page.keyboard.press('Escape');
      await fires();
    }
    await expect(page.locator('#network')).toBeHidden();
  });

  test('the lobby in another tab leaves this one flying', async () => {
    for (const modifiers of [['Control'], ['Shift']] as const) {
      const opened = page.context().waitForEvent('page');
      await page.locator('#leave').click({ modifiers: [...modifiers] });
      await (await opened).close();
    }
    // A page that has left hears nothing any more.
    await page.waitForTimeout(LEFT_FOR_SURE_MS);
    await expect.poll(() => read(page, 'silence')).toBeLessThan(LEFT_FOR_SURE_MS);
  });

  test('a hidden tab lets go of everything within 100 ms, without a picture', async () => {
    await page.keyboard.down('KeyD');
    await page.keyboard.down('Space');
    await expect.poll(() => lastSent(page)).toBe(14 | (1 << 4) | FIRE);
    const sentAfterMs = await page.evaluate(async () => {
      // A page under a debugger is never really hidden: this is what it would hear, and no more pictures.
      window.requestAnimationFrame = () => 0;
      await new Promise((resolve) => setTimeout(resolve, 300));
      Object.defineProperty(document, 'hidden', { value: true });
      const hiddenAt = performance.now();
      document.dispatchEvent(new Event('visibilitychange'));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const last = (window as unknown as { __sent: Sent[] }).__sent.at(-1);
      return last === undefined || last.at < hiddenAt ? -1 : last.at - hiddenAt;
    });
    expect(await lastSent(page)).toBe(HANDS_OFF);
    expect(sentAfterMs).toBeGreaterThanOrEqual(0);
    expect(sentAfterMs).toBeLessThan(NEUTRAL_WITHIN_MS);
  });
});

test('on a phone held sideways two thumbs do all of it at once', async ({ browser }) => {
  const page = await newcomer(browser, { viewport: { width: 740, height: 360 }, hasTouch: true, isMobile: true });
  await listen(page);
  await flyFromLobby(page);
  const session = await page.context().newCDPSession(page);
  const [fire, boost] = [await middle(page, '#touch-fire'), await middle(page, '#touch-boost')];
  const home = { x: 120, y: 220, id: 1 };
  const stick = { ...home, x: home.x + 60 };
  await touch(session, 'touchStart', [home]);
  await touch(session, 'touchMove', [stick]);
  await touch(session, 'touchStart', [stick, { ...fire, id: 2 }]);
  await expect.poll(async () => (await lastSent(page)) & (FIRE | BOOST | 0x30)).toBe(FIRE | THROTTLE_FULL);
  await touch(session, 'touchMove', [stick, { ...boost, id: 2 }]);
  await expect.poll(async () => (await lastSent(page)) & (FIRE | BOOST | 0x30)).toBe(FIRE | BOOST | THROTTLE_FULL);
  await touch(session, 'touchEnd', []);
  await expect.poll(() => lastSent(page)).toBe(HANDS_OFF);
  await page.context().close();
});

function touch(session: CDPSession, type: 'touchStart' | 'touchMove' | 'touchEnd', touchPoints: { x: number; y: number; id: number }[]): Promise<unknown> {
  return session.send('Input.dispatchTouchEvent', { type, touchPoints });
}

async function middle(page: Page, selector: string): Promise<{ x: number; y: number }> {
  const box = await page.locator(selector).boundingBox();
  if (box === null) throw new Error(`${selector} is not shown.`);
  expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(48);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
