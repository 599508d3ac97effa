// What the tests do as a person would, and what they read from `window.__aerodrome`.
import { expect, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from '@playwright/test';
import type { TestHook } from '../arena/test-hook';

export const BASE_URL = (): string => process.env['BASE_URL'] ?? 'http://127.0.0.1:8080';

/** Small, because software WebGL pays by the pixel. */
const DESKTOP = { width: 960, height: 600 };

/** How browsers say that a page's own policy stopped it. */
const POLICY = /Content Security Policy/;

/**
 * Fails the test, whichever it is, when a page of this context does what its policy (CSP) forbids.
 */
export function keepPolicy(context: BrowserContext): void {
  context.on('console', (message) => {
    if (POLICY.test(message.text())) expect.soft(message.text(), `The policy of ${message.location().url} is broken`).toBe('');
  });
}

/**
 * A page of somebody new; with its sockets at hand, so that a test can cut the line, and with a hand that presses
 * «Fly again», because computer pilots shoot at tests as at everybody.
 */
export async function newcomer(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ baseURL: BASE_URL(), viewport: DESKTOP, reducedMotion: 'reduce', ...options });
  await context.addInitScript(() => {
    const sockets: WebSocket[] = [];
    setInterval(() => document.querySelector<HTMLButtonElement>('#down:not([hidden]) #again:not(:disabled)')?.click(), 300);
    Object.assign(window, { __sockets: sockets });
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    };
  });
  keepPolicy(context);
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error('page error:', error.message));
  return page;
}

/** Opens the lobby and flies from the row of this region, or from the best one. */
export async function flyFromLobby(page: Page, region?: string): Promise<void> {
  await page.goto('/');
  const row = page.locator('tbody tr[data-region]');
  await expect(row.first()).toBeVisible();
  if (region === undefined) await page.keyboard.press('Enter');
  else await row.filter({ hasText: new RegExp(region, 'i') }).first().click();
  await airborne(page);
}

/** Waits until the plane is in the air. */
export async function airborne(page: Page): Promise<void> {
  await page.waitForURL(/\/gameserver\/[^/]+\/arena/);
  await inTheAir(page);
}

/** The same in a room of any name. */
export async function inTheAir(page: Page): Promise<void> {
  await page.waitForFunction(() => window.__aerodrome?.synced && window.__aerodrome.alive && window.__aerodrome.pilot > 0);
}

export function read<K extends keyof TestHook>(page: Page, key: K): Promise<TestHook[K]> {
  return page.evaluate((name) => (window.__aerodrome as TestHook)[name as K], key as string) as Promise<TestHook[K]>;
}

/** As if the network had failed: every socket of the page ends. */
export async function cutConnection(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const socket of (window as unknown as { __sockets: WebSocket[] }).__sockets) socket.close();
  });
}

export async function say(page: Page, text: string): Promise<void> {
  await page.keyboard.press('Enter');
  await page.locator('#chat-text').fill(text);
  await page.keyboard.press('Enter');
}
