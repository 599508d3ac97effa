import { expect, test } from '@playwright/test';
import { airborne, newcomer, read } from './pilot';

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

test('arrow keys choose and Enter flies, with the call sign that was typed', async ({ browser }) => {
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

test('a link to nowhere gets a sentence, a link to a field leads there', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  const joined = await page.request.post('/api/join', { data: { region: 'ewr' } });
  const { instance } = (await joined.json()) as { instance: string };
  await page.getByRole('button', { name: 'I have a link' }).click();
  await page.getByLabel('Link to a field').fill('somewhere else');
  await page.getByRole('button', { name: 'Go there' }).click();
  await expect(page.locator('#trouble')).toContainText('not a link to a field');
  await page.getByLabel('Link to a field').fill(new URL(`/gameserver/${instance}/arena`, page.url()).href);
  await page.getByRole('button', { name: 'Go there' }).click();
  await airborne(page);
  await page.context().close();
});

test('a private room opens under a name of its own, and its address is the invitation', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  const joined = await page.request.post('/api/join', { data: { region: 'ewr', private: true } });
  expect(((await joined.json()) as { path: string }).path).toMatch(/^\/gameserver\/[a-z0-9-]+\/field-[a-z2-7]{10}\?new$/);
  await expect(page.getByRole('button', { name: 'Create a private room' })).toBeEnabled();
  await page.context().close();
});

test('a field that is gone says so and offers a new one', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/#new');
  await expect(page.locator('#progress-text')).toContainText('create a private room');
  await expect(page.getByRole('button', { name: 'Create a private room' })).toBeFocused();
  await page.context().close();
});
