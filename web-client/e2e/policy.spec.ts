import { test } from '@playwright/test';
import { newcomer } from './pilot';

test('a page that does what its policy forbids fails the test it is in', async ({ browser }) => {
  test.fail();
  const page = await newcomer(browser);
  // Nobody's machine: a small page that allows no script at all.
  await page.goto('/gameserver/nobody/arena');
  const violated = page.evaluate(() => new Promise((resolve) => document.addEventListener('securitypolicyviolation', resolve, { once: true })).then(() => true));
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'void 0';
    document.head.append(script);
  });
  await violated;
  await page.context().close();
});
