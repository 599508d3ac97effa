// What takes minutes and is measured, not only checked: `npm run soak`, after `make build`; it writes
// `target/bench/feel-browser.json`.
import { defineConfig } from '@playwright/test';
import ordinary from './playwright.config';

const TEST_TIMEOUT_MS = 15 * 60_000;

export default defineConfig(ordinary, { testDir: 'e2e-long', timeout: TEST_TIMEOUT_MS, globalTimeout: 2 * TEST_TIMEOUT_MS });
