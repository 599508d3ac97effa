// How the pages of rooms are built: one for each kind, `<kind>/index.html`, and one folder of assets, whose names have a hash.
//
// A page is served as `/gameserver/<instance>/<room>`, beside the assets and not below its kind.
import { defineConfig, mergeConfig } from 'vite';
import { KINDS } from './shared/generated/protocol.ts';
import common from './vite.config.ts';

export default mergeConfig(
  common,
  defineConfig({
    build: { rolldownOptions: { input: KINDS.map((kind) => `${kind}/index.html`) } },
    experimental: {
      renderBuiltUrl: (file, { hostType }) => (hostType === 'html' ? `./${file}` : { relative: true }),
    },
  }),
);
