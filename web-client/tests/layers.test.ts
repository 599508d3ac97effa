// Which way imports may point. A picture that could reach the socket would end up deciding things.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAX_LINES = 300;

/** Files by folder, and what they must not reach. */
const NEVER: Record<string, RegExp[]> = {
  'arena/view': [/^pkg\//, /^arena\/(client|main|loop|input|touch|sound|test-hook)$/, /^shared\/(link|chat)\//, /^arena\/hud\//, /^lobby\//],
  'arena/hud': [/^pkg\//, /^pixi\.js/, /^arena\/(client|main|loop|input|touch|test-hook)$/, /^shared\/link\/(link|reconnect-policy|reconnector)$/, /^arena\/view\//, /^lobby\//],
  arena: [/^lobby\//],
  lobby: [/^arena\//, /^pkg\//, /^pixi\.js/],
  'shared/link': [/^arena\//, /^lobby\//, /^pkg\//, /^pixi\.js/],
  shared: [/^arena\//, /^lobby\//, /^pkg\//, /^pixi\.js/],
};

const files = Object.keys(NEVER).flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => ({ folder, path: `${folder}/${name}`, text: readFileSync(join(ROOT, folder, name), 'utf8') })),
);

function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, to = '']) =>
    to.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), to)) : to,
  );
}

describe('layers', () => {
  it.each(files)('$path points only where it may', ({ folder, path, text }) => {
    for (const target of importsOf(path, text)) {
      for (const forbidden of NEVER[folder] ?? []) expect(target, `${path} imports ${target}`).not.toMatch(forbidden);
    }
  });

  it('only one file knows the wasm package', () => {
    const who = files.filter(({ path, text }) => importsOf(path, text).some((target) => target.startsWith('pkg/')));
    expect(who.map(({ path }) => path)).toEqual(['arena/client.ts']);
  });

  it('only one file opens the game socket', () => {
    const who = files.filter(({ text }) => text.includes('new WebSocket('));
    expect(who.map(({ path }) => path).sort()).toEqual(['lobby/ping.ts', 'shared/link/link.ts']);
  });

  it.each(files)('$path stays readable', ({ text }) => {
    expect(text.split('\n').length).toBeLessThanOrEqual(MAX_LINES);
  });
});
