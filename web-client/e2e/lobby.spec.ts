import { expect, test } from '@playwright/test';
import { airborne, inTheAir, newcomer, read } from './pilot';

test('the board lists the three regions, the best one selected', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  const rows = page.locator('tbody tr[data-region]');
  await expect(rows).toHaveCount(3);
  for (const place of ['New Jersey', 'Paris', 'Tokyo']) await expect(rows.filter({ hasText: place })).toHaveCount(1);
  await expect(rows.first()).toHaveAttribute('aria-selected', 'true');
  await expect(rows.first().locator('.status')).toHaveText(/READY|ASLEEP|WAKING/);
  await page.context().close();
});

test('arrow keys choose and Enter goes, with the call sign that was typed', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  const rows = page.locator('tbody tr[data-region]');
  await expect(rows.first()).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('ArrowDown');
  await expect(rows.nth(1)).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('ArrowUp');
  await expect(rows.first()).toBeFocused();
  await page.getByLabel('Call sign').fill('Amelia');
  await page.getByLabel('Call sign').press('Enter');
  await airborne(page);
  expect(await read(page, 'name')).toBe('Amelia');
  await expect(page.locator('#me-name')).toHaveText('Amelia');
  await page.context().close();
});

test('a link to nowhere gets a sentence, a link to a room leads there', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  const joined = await page.request.post('/api/join', { data: { region: 'ewr' } });
  const { instance } = (await joined.json()) as { instance: string };
  await page.getByRole('button', { name: 'I have a link' }).click();
  await page.getByLabel('Link to a room').fill('somewhere else');
  await page.getByRole('button', { name: 'Go there' }).click();
  await expect(page.locator('#trouble')).toContainText('not a link to a room');
  await page.getByLabel('Link to a room').fill(new URL(`/gameserver/${instance}/arena`, page.url()).href);
  await page.getByRole('button', { name: 'Go there' }).click();
  await airborne(page);
  await page.context().close();
});

test('a private room opens under a name of its own, and its address is the invitation', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  await page.getByRole('button', { name: 'Create a private room' }).click();
  await page.waitForURL(/\/gameserver\/[a-z0-9-]+\/arena-p-[a-z2-7]{10}/);
  await inTheAir(page);
  const friend = await newcomer(browser);
  await friend.goto(page.url());
  await inTheAir(friend);
  expect(await read(friend, 'pilot')).not.toBe(await read(page, 'pilot'));
  await friend.context().close();
  await page.context().close();
});

test('a full region offers another one, and goes there only when asked', async ({ browser }) => {
  const page = await newcomer(browser);
  const wishes: string[] = [];
  await page.route('**/api/join', async (route) => {
    wishes.push(route.request().postData() ?? '');
    const offer = { region: 'cdg', place: 'Paris', latency_ms: 87 };
    await route.fulfill({ status: 503, json: { error: { code: 'full', message: 'New Jersey is full right now.', offer } } });
  });
  await page.goto('/');
  await page.locator('tr[data-region=ewr]').click();
  await expect(page.locator('#trouble')).toHaveText('New Jersey is full right now.');
  const accept = page.getByRole('button', { name: 'Go to Paris instead (~87 ms)' });
  await expect(accept).toBeVisible();
  expect(wishes).toEqual(['{"region":"ewr","kind":"arena"}']);
  await accept.click();
  await expect(page.locator('tr[data-region=cdg]')).toHaveAttribute('aria-selected', 'true');
  expect(wishes).toEqual(['{"region":"ewr","kind":"arena"}', '{"region":"cdg","kind":"arena"}']);
  await page.context().close();
});

test('waiting is told in words and can be given up', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.addInitScript(() => {
    const real = window.fetch;
    window.fetch = (input, init) => {
      if (input !== '/api/join') return real(input, init);
      const stage = 'event: stage\ndata: {"stage":"booting","message":"Paris is booting."}\n\n';
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(stage));
          init?.signal?.addEventListener('abort', () => controller.error(new DOMException('', 'AbortError')));
        },
      });
      return Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
    };
  });
  await page.goto('/');
  await page.locator('tr[data-region=cdg]').click();
  await expect(page.locator('#progress-text')).toHaveText('Paris is booting.');
  await expect(page.locator('#go')).toHaveText(/Booting \d+\.\d s/);
  await expect(page.locator('tr[data-region=cdg] .status')).toHaveText(/WAKING/);
  await page.getByRole('button', { name: 'Stay here' }).click();
  await expect(page.locator('#go')).toHaveText('Go');
  await expect(page.locator('#progress-text')).toHaveText('');
  await page.context().close();
});

test('a room that is gone says so and offers a new one', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/#new');
  await expect(page.locator('#progress-text')).toContainText('create a private room');
  await expect(page.getByRole('button', { name: 'Create a private room' })).toBeFocused();
  await page.context().close();
});
