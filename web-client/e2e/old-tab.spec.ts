// A page that does not match its room any more, as after a deploy under a tab that stayed open.
import { expect, test, type Page } from '@playwright/test';
import { flyFromLobby, inTheAir, newcomer, read } from './pilot';

/** The room says that it does not match, by the close code alone. */
async function mismatch(page: Page): Promise<void> {
  await page.evaluate(() => {
    const { __sockets } = window as unknown as { __sockets: WebSocket[] };
    __sockets.at(-1)?.dispatchEvent(new CloseEvent('close', { code: 4001 }));
  });
}

test('an old tab loads itself again, once, and is the same pilot with the same half a sentence', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  const [pilot, name] = [await read(page, 'pilot'), await read(page, 'name')];
  await page.keyboard.press('Enter');
  await page.locator('#chat-text').fill('Does anybody');
  await page.evaluate(() => Object.assign(window, { __marker: 'the old page' }));
  await mismatch(page);
  await page.waitForFunction(() => !('__marker' in window));
  await inTheAir(page);
  expect([await read(page, 'pilot'), await read(page, 'name')]).toEqual([pilot, name]);
  await expect(page.locator('#chat-text')).toHaveValue('Does anybody');
  await page.context().close();
});

test('a page that still does not match after that says so, and can be tried again', async ({ browser }) => {
  const page = await newcomer(browser);
  await flyFromLobby(page);
  let loads = 0;
  page.on('request', (request) => (loads += Number(request.isNavigationRequest())));
  await page.addInitScript(() => {
    const Real = window.WebSocket;
    window.WebSocket = class extends Real {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        if (sessionStorage.getItem('matches') === null) this.addEventListener('open', () => this.dispatchEvent(new CloseEvent('close', { code: 4001 })));
      }
    };
  });
  await mismatch(page);
  const note = page.locator('#link-state');
  await expect(note).toContainText('do not match, and loading it again did not help');
  expect(loads).toBe(1);
  await page.evaluate(() => sessionStorage.setItem('matches', ''));
  await note.getByRole('button', { name: 'Try again' }).click();
  await inTheAir(page);
  await expect(note).toBeHidden();
  await page.context().close();
});
