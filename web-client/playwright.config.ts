// A person's path through the whole system in a real browser: `npm run e2e`, after `make build`.
//
// `e2e/setup.ts` starts the local Fly with the release binaries and sets `BASE_URL`. The browser is the one that
// `CHROMIUM` names (`scripts/find-chromium.sh` finds it).
import { defineConfig } from '@playwright/test';

// Software WebGL draws a few frames a second on a small machine, and the first join starts a gameserver.
const TEST_TIMEOUT_MS = 90_000;
const EXPECT_TIMEOUT_MS = 20_000;
const SUITE_TIMEOUT_MS = 12 * 60_000;

const chromium = process.env['CHROMIUM'];

export default defineConfig({
  testDir: 'e2e',
  globalSetup: './e2e/setup.ts',
  outputDir: '../target/e2e',
  reporter: 'list',
  timeout: TEST_TIMEOUT_MS,
  expect: { timeout: EXPECT_TIMEOUT_MS },
  globalTimeout: SUITE_TIMEOUT_MS,
  forbidOnly: process.env['CI'] !== undefined,
  // One local Fly and two cores: tests that ran at once would only slow each other down.
  workers: 1,
  use: {
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    launchOptions: {
      ...(chromium === undefined ? {} : { executablePath: chromium }),
      args: [
        '--headless=new',
        '--no-sandbox',
        '--no-first-run',
        '--disable-quic',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // WebGL on the processor, so that a machine without a graphics card tests the renderer that people use.
        '--use-angle=swiftshader',
        '--enable-unsafe-swiftshader',
      ],
    },
  },
});
