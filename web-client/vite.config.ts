// How pages are built and tested; alone it builds the lobby's (`vite build lobby`), the rooms' are `vite.rooms.config.ts`.
//
// Every reference is relative, because a room's page lives under `/gameserver/<instance>/` of a machine that is only
// known at run time. Nothing is inlined, so that each asset is cached, compressed and counted on its own.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  base: './',
  // What must keep its name; see `boot.js`.
  publicDir: `${here}public`,
  build: {
    // Browsers of 2023 and later: top-level await, WebGL 2, BigInt.
    target: ['chrome110', 'firefox115', 'safari16.4'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // PixiJS loads its renderer as a chunk of its own, which is large by nature.
    chunkSizeWarningLimit: 800,
    emptyOutDir: true,
  },
  // The development server of one page also serves `shared` and `pkg`, which lie beside it.
  server: { fs: { allow: [here] } },
  test: {
    root: here,
    include: ['*/**/*.test.ts'],
    environment: 'node',
  },
});
