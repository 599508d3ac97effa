// What takes minutes and is measured, not only checked: `make soak NAME=browser`; it writes
// `target/bench/feel-browser.json`.
import { defineConfig } from '@playwright/test';
import ordinary from './playwright.config';

const TEST_TIMEOUT_MS = 15 * 60_000;

// A folder of its own, since a run clears it: the short tests may run meanwhile.
export default defineConfig(ordinary, {
  testDir: 'e2e-long',
  outputDir: '../target/e2e-long',
  timeout: TEST_TIMEOUT_MS,
  globalTimeout: 2 * TEST_TIMEOUT_MS,
});
