import { expect, test } from '@playwright/test';
import { airborne, cutConnection, flyFromLobby, inTheAir, newcomer, read } from './pilot';

test('a lost connection is told and comes back by itself with the same pilot', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const pilot = await read(page, 'pilot');
  const note = page.locator('#link-state');
  const told = note.filter({ hasText: /Connection lost|Reconnecting/ }).waitFor();
  await cutConnection(page);
  await told;
  await expect(note).toBeHidden();
  await page.waitForFunction(() => window.__aerodrome?.synced);
  expect(await read(page, 'pilot')).toBe(pilot);
  await page.context().close();
});

test('a reload comes back as the same pilot', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const pilot = await read(page, 'pilot');
  const name = await read(page, 'name');
  await page.reload();
  await page.waitForFunction(() => window.__aerodrome?.synced && window.__aerodrome.pilot > 0);
  expect(await read(page, 'pilot')).toBe(pilot);
  expect(await read(page, 'name')).toBe(name);
  await page.context().close();
});

test('a duplicated tab and the first one fly the same pilot in turn', async ({ browser }) => {
  const first = await newcomer(browser);
  await flyFromLobby(first);
  const pilot = await read(first, 'pilot');
  // A window that a page opens begins with a copy of what the tab remembers, as a duplicated tab does.
  const [duplicate] = await Promise.all([first.context().waitForEvent('page'), first.evaluate(() => void window.open(location.href))]);
  await inTheAir(duplicate);
  expect(await read(duplicate, 'pilot')).toBe(pilot);
  for (const [here, there] of [[first, duplicate], [duplicate, first]] as const) {
    const note = here.locator('#link-state');
    await expect(note).toContainText('You are here in another window now.');
    await note.getByRole('button', { name: 'Come back here' }).click();
    await expect(note).toBeHidden();
    await expect(there.locator('#link-state')).toContainText('in another window');
    expect(await read(here, 'pilot')).toBe(pilot);
  }
  await first.context().close();
});

test('a page that the browser kept and brings back joins anew', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  await page.evaluate(() => Object.assign(window, { __marker: 'the page of before' }));
  await page.evaluate(() => void dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await page.waitForFunction(() => !('__marker' in window));
  await inTheAir(page);
  await page.context().close();
});

test('a deploy under a flying pilot ends with the same page, pilot and room', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  await page.evaluate(() => Object.assign(window, { __marker: 'the same page' }));
  const pilot = await read(page, 'pilot');
  const machine = new URL(page.url()).pathname.split('/')[2];
  const note = page.locator('#link-state');
  const told = note.filter({ hasText: /\S/ }).waitFor();
  // As a deploy does: SIGTERM, and whoever asks for the machine afterwards starts it again.
  const stopped = await page.request.post(`/_fly/api/machines/${machine}/stop`);
  expect(stopped.ok()).toBe(true);
  await told;
  await expect(note).toBeHidden();
  await page.waitForFunction(() => window.__aerodrome?.synced && window.__aerodrome.silence < 500);
  expect(await read(page, 'pilot')).toBe(pilot);
  expect(await page.evaluate(() => (window as unknown as { __marker?: string }).__marker)).toBe('the same page');
  await page.context().close();
});

test('everything works with storage denied, and the call sign travels along', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, {
        get() {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    }
  });
  await page.goto('/');
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  await page.getByLabel('Call sign').fill('Nobody Keeps');
  await page.getByRole('button', { name: /^Go:/ }).click();
  await airborne(page);
  expect(await read(page, 'name')).toBe('Nobody Keeps');
  // The fragment with ticket and name is gone from the address.
  expect(new URL(page.url()).hash).toBe('');
  const pilot = await read(page, 'pilot');
  await cutConnection(page);
  await page.waitForFunction(() => (document.querySelector('#link-state') as HTMLElement).hidden === false);
  await expect(page.locator('#link-state')).toBeHidden();
  expect(await read(page, 'pilot')).toBe(pilot);
  await page.context().close();
});

test('it flies inside a frame', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const address = page.url();
  // Any page of the same origin will do as the frame's host.
  await page.goto('/api/regions');
  await page.evaluate((src) => document.body.replaceChildren(Object.assign(document.createElement('iframe'), { src, width: 640, height: 480 })), address);
  const frame = page.frameLocator('iframe');
  await expect(frame.locator('#curtain')).toHaveClass(/gone/);
  await page.context().close();
});
