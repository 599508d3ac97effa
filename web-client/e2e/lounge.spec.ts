// The lounge: chosen on the board, talked in by two, left, lost, slept through and found again.
import { expect, test, type Browser, type Page } from '@playwright/test';
import { cutConnection, newcomer } from './pilot';

const lines = (page: Page) => page.locator('.line .text');

/** Chooses the lounge on the board and goes there from the best row, or into a private one. */
async function enterLounge(page: Page, isPrivate = false): Promise<void> {
  await page.goto('/');
  await page.getByRole('radio', { name: 'Lounge' }).check();
  await expect(page.locator('tbody tr[data-region]').first()).toBeVisible();
  if (isPrivate) await page.getByRole('button', { name: 'Create a private room' }).click();
  else await page.getByRole('button', { name: /^Go: Lounge/ }).click();
  await inLounge(page);
}

/** Waits until the room let us in. */
async function inLounge(page: Page): Promise<void> {
  await page.waitForURL(/\/gameserver\/[^/]+\/lounge/);
  await expect(page.locator('#me')).toHaveAttribute('data-member', /\d+/);
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Say something to everybody here').fill(text);
  await page.keyboard.press('Enter');
}

/** Two people in one private lounge. */
async function two(browser: Browser): Promise<[Page, Page]> {
  const [host, guest] = [await newcomer(browser), await newcomer(browser)];
  await enterLounge(host, true);
  await guest.goto(host.url());
  await inLounge(guest);
  return [host, guest];
}

const member = (page: Page) => page.locator('#me').getAttribute('data-member');

test('the board asks what one wants, by keyboard too, and remembers it', async ({ browser }) => {
  const page = await newcomer(browser);
  await page.goto('/');
  const [dogfight, lounge] = [page.getByRole('radio', { name: 'Dogfight' }), page.getByRole('radio', { name: 'Lounge' })];
  await expect(dogfight).toBeChecked();
  await dogfight.focus();
  await page.keyboard.press('ArrowRight');
  await expect(lounge).toBeChecked();
  await expect(page.getByRole('button', { name: /^Go: Lounge in / })).toBeEnabled();
  await page.reload();
  await expect(lounge).toBeChecked();
  await page.locator('tbody tr[data-region]').first().focus();
  await page.keyboard.press('Enter');
  await inLounge(page);
  await page.context().close();
});

test('two people talk, and the one who said something sees what became of it', async ({ browser }) => {
  const [host, guest] = await two(browser);
  await expect(host.locator('#people')).toHaveText('2 people');
  const composer = await host.locator('#compose').boundingBox();
  await say(host, 'Good evening');
  await expect(lines(guest)).toHaveText(['Good evening']);
  await expect(host.locator('.line').filter({ hasText: 'Good evening' })).toHaveClass(/own (sent|kept)/);
  await say(guest, '<b>Good</b> evening to you');
  await expect(lines(host)).toHaveText(['Good evening', '<b>Good</b> evening to you']);
  for (let line = 0; line < 5; line += 1) await say(host, `Line ${line}`);
  await expect(lines(guest)).toHaveCount(7);
  expect(await host.locator('#compose').boundingBox()).toEqual(composer);
  const third = await newcomer(browser);
  await third.goto(host.url());
  await expect(lines(third)).toHaveCount(7);
  for (const page of [host, guest, third]) await page.context().close();
});

test('a private lounge has a name of its own, and its address is the invitation', async ({ browser }) => {
  const [host, guest] = await two(browser);
  expect(new URL(host.url()).pathname).toMatch(/\/lounge-p-[a-z2-7]{10}$/);
  expect(await member(guest)).not.toBe(await member(host));
  await guest.getByRole('button', { name: /Change name and colour/ }).click();
  await guest.getByLabel('Call sign').fill('Amelia');
  await guest.getByRole('button', { name: 'Keep' }).click();
  await say(guest, 'It is me');
  await expect(host.locator('.line .name').last()).toHaveText('Amelia');
  for (const page of [host, guest]) await page.context().close();
});

test('a lost connection is told, comes back as the same member, and brings what was said meanwhile', async ({ browser }) => {
  const [host, guest] = await two(browser);
  const before = await member(host);
  await host.getByLabel('Say something to everybody here').fill('Half a sen');
  const note = host.locator('#link-state');
  const told = note.filter({ hasText: /Connection lost|Reconnecting/ }).waitFor();
  await cutConnection(host);
  await told;
  await say(guest, 'Are you there?');
  await expect(note).toBeHidden();
  expect(await member(host)).toBe(before);
  await expect(lines(host)).toHaveText(['Are you there?']);
  await expect(host.getByLabel('Say something to everybody here')).toHaveValue('Half a sen');
  for (const page of [host, guest]) await page.context().close();
});

test('an old tab of the lounge loads itself again once, with the same member and draft', async ({ browser }) => {
  const page = await newcomer(browser);
  await enterLounge(page, true);
  const before = await member(page);
  await page.getByLabel('Say something to everybody here').fill('Half a sen');
  await page.evaluate(() => {
    Object.assign(window, { __marker: 'the old page' });
    const { __sockets } = window as unknown as { __sockets: WebSocket[] };
    __sockets.at(-1)?.dispatchEvent(new CloseEvent('close', { code: 4001 }));
  });
  await page.waitForFunction(() => !('__marker' in window));
  await inLounge(page);
  expect(await member(page)).toBe(before);
  await expect(page.getByLabel('Say something to everybody here')).toHaveValue('Half a sen');
  await page.context().close();
});

test('a room that slept has its history back', async ({ browser }) => {
  const page = await newcomer(browser);
  await enterLounge(page);
  const link = new URL(page.url()).pathname;
  const [, , machine = ''] = link.split('/');
  await say(page, 'I will be back');
  await expect(page.locator('.line.sent, .line.kept')).toHaveCount(1);
  await page.getByRole('link', { name: 'Back to the lobby' }).first().click();
  await page.waitForURL((url) => url.pathname === '/');
  const isOpen = async (): Promise<boolean> => {
    const status = (await (await page.request.get(`/gameserver/${machine}/status`)).json()) as { kinds: { lounge: { is_open: boolean } } };
    return status.kinds.lounge.is_open;
  };
  await expect.poll(isOpen, { timeout: 60_000 }).toBe(false);
  await page.goto(link);
  await inLounge(page);
  await expect(lines(page).last()).toHaveText('I will be back');
  await page.context().close();
});
