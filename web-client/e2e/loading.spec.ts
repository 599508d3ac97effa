// What a page says and does when a part of it does not come, or is of no use.
import { expect, test, type Page } from '@playwright/test';
import { airborne, inTheAir, newcomer } from './pilot';

/** The address of a room, as an invite link has it. */
async function roomLink(page: Page): Promise<string> {
  const joined = await page.request.post('/api/join', { data: { region: 'ewr' } });
  const { instance } = (await joined.json()) as { instance: string };
  return `/gameserver/${instance}/arena`;
}

/** Counts how often the page itself is asked for. */
function countLoads(page: Page): () => number {
  let loads = 0;
  page.on('request', (request) => (loads += Number(request.isNavigationRequest())));
  return () => loads;
}

const SCRIPTS = '**/assets/index-*.js';

test('a room whose script is gone is loaded again once, then a sentence and the ways out', async ({ browser }) => {
  const page = await newcomer(browser);
  const loads = countLoads(page);
  await page.route(SCRIPTS, (route) => route.fulfill({ status: 404 }));
  await page.goto(await roomLink(page));
  await expect(page.locator('#boot-text')).toHaveText('Part of this page did not arrive. Check your connection and load it again.');
  await expect(page.locator('#boot').getByRole('link', { name: 'Back to the lobby' })).toBeVisible();
  expect(loads()).toBe(2);
  await page.unroute(SCRIPTS);
  await page.getByRole('link', { name: 'Load again' }).click();
  await inTheAir(page);
  await page.context().close();
});

test('a lobby whose script is gone does the same', async ({ browser }) => {
  const page = await newcomer(browser);
  const loads = countLoads(page);
  await page.route(SCRIPTS, (route) => route.abort());
  await page.goto('/');
  await expect(page.locator('#boot-text')).toHaveText('Part of this page did not arrive. Check your connection and load it again.');
  expect(loads()).toBe(2);
  await page.unroute(SCRIPTS);
  await page.getByRole('link', { name: 'Load again' }).click();
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  await expect(page.locator('#boot')).toHaveCount(0);
  await page.context().close();
});

test('wasm that comes damaged is loaded again, past the cache, and then flies; wasm that never comes is told', async ({ browser }) => {
  const page = await newcomer(browser);
  const link = await roomLink(page);
  // By its usual address it stays so, as what lies in a cache does.
  await page.route('**/*.wasm', (route) => route.fulfill({ contentType: 'application/wasm', body: 'no wasm' }));
  await page.goto(link);
  await inTheAir(page);
  await page.route(/\.wasm/, (route) => route.fulfill({ status: 404 }));
  await page.goto(link);
  await expect(page.locator('#boot-text')).toHaveText('Part of this page did not arrive. Check your connection and load it again.');
  await expect(page.getByRole('link', { name: 'Load again' })).toBeVisible();
  await page.context().close();
});

test('a page of which no script comes at all has words and a way out', async ({ browser }) => {
  const lobby = await newcomer(browser);
  const room = await lobby.context().newPage();
  // They are asked for and never answered.
  await lobby.context().route('**/assets/*.js', () => undefined);
  await lobby.goto('/', { waitUntil: 'commit' });
  await room.goto(await roomLink(lobby), { waitUntil: 'commit' });
  for (const page of [lobby, room]) {
    await expect(page.getByText('This takes longer than usual.')).toBeVisible();
    await expect(page.getByRole('link', { name: 'Load again' })).toBeVisible();
  }
  await lobby.context().unrouteAll({ behavior: 'ignoreErrors' });
  await lobby.context().close();
});

test('without WebGL nobody joins: the lobby says so, and a room offers the way back', async ({ browser }) => {
  const page = await newcomer(browser);
  const link = await roomLink(page);
  await page.addInitScript(() => {
    const real = HTMLCanvasElement.prototype.getContext as (this: HTMLCanvasElement, kind: string) => RenderingContext | null;
    Object.assign(HTMLCanvasElement.prototype, {
      getContext(this: HTMLCanvasElement, kind: string) {
        return kind.startsWith('webgl') ? null : real.call(this, kind);
      },
    });
  });
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  page.on('websocket', (socket) => socket.url().endsWith('/ping') || asked.push(socket.url()));
  await page.goto('/');
  await page.locator('tbody tr[data-region]').first().click();
  await expect(page.locator('#trouble')).toContainText('WebGL is off');
  await page.goto(link);
  await expect(page.locator('#boot-text')).toContainText('WebGL is off');
  await page.locator('#boot').getByRole('link', { name: 'Back to the lobby' }).click();
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  expect(asked.filter((path) => path.includes('/api/join') || path.startsWith('ws'))).toEqual([]);
  await page.context().close();
});

test('a network that lets no sockets through is told in a sentence, and nothing joins any more', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.addInitScript(() => {
    const Real = window.WebSocket;
    // As a proxy does that knows no upgrades: it answers something else.
    const isBlocked = (): boolean => localStorage.getItem('unblocked') === null;
    window.WebSocket = class extends Real {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(isBlocked() ? String(url).replace('/gameserver/', '/blocked/') : url, protocols);
      }
    };
  });
  let joins = 0;
  page.on('request', (request) => (joins += Number(request.url().endsWith('/api/join'))));
  await page.goto('/');
  await page.locator('tbody tr[data-region]').first().click();
  const note = page.locator('#link-state');
  await expect(note).toContainText('This network seems to block WebSockets');
  await expect(note.getByRole('link', { name: 'Back to the lobby' })).toBeVisible();
  await page.waitForTimeout(3_000);
  expect(joins).toBe(1);
  await page.evaluate(() => localStorage.setItem('unblocked', ''));
  await note.getByRole('button', { name: 'Try again' }).click();
  await airborne(page);
  await expect(note).toBeHidden();
  await page.context().close();
});
