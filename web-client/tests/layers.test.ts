// Which way imports may point: a kind's folder never into another kind's, shared code into no page's, the lobby into shared
// code only. Inside a kind, a picture that could reach the socket would end up deciding things.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { KINDS } from '../shared/generated/protocol';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAX_LINES = 300;

/** A folder for each kind of room, and for the lobby. */
const PAGES: readonly string[] = [...KINDS, 'lobby'];
const FOLDERS = [...PAGES, 'shared'];

/** Within a kind: what its views and its HUD must not reach, besides its own package and what knows it. */
const VIEWS_NEVER = [/^pkg\//, /^\w+\/(client|main|loop|input|touch|sound|test-hook)$/, /^\w+\/hud\//, /^shared\/(link|chat)\//];
const HUD_NEVER = [/^pkg\//, /^pixi\.js/, /^\w+\/(client|main|loop|input|touch|test-hook)$/, /^\w+\/view\//, /^shared\/link\/(?!conditioner-controls$)/];

interface Source {
  /** From the root of the web client, without its ending. */
  path: string;
  text: string;
}

/** What the file imports: a path from the root, or a package. */
function importsOf({ path, text }: Source): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, to = '']) =>
    to.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), to)) : to,
  );
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** What a file at this path must not import. */
function isForbidden(path: string, target: string, pages = PAGES): boolean {
  const [from, to] = [folderOf(path), folderOf(target)];
  if (pages.includes(to) && to !== from) return true;
  if (from === 'shared' || from === 'lobby') return to === 'pkg' || to === 'pixi.js';
  const never = /^\w+\/view\//.test(path) ? VIEWS_NEVER : /^\w+\/hud\//.test(path) ? HUD_NEVER : [];
  return (to === 'pkg' && target !== `pkg/${from}.js`) || never.some((pattern) => pattern.test(target));
}

function violations(source: Source, pages = PAGES): string[] {
  return importsOf(source).filter((target) => isForbidden(source.path, target, pages));
}

/** All sources of a folder and of those in it. */
function sourcesIn(folder: string): (Source & { file: string })[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|css)$/.test(name))
    .map((name) => `${folder}/${name}`)
    .map((file) => ({ file, path: file.replace(/\.\w+$/, ''), text: readFileSync(join(ROOT, file), 'utf8') }));
}

const sources = FOLDERS.flatMap(sourcesIn);
const product = sources.filter(({ path }) => !path.endsWith('.test'));

describe('layers', () => {
  it.each(sources)('$file points only where it may', (source) => {
    expect(violations(source)).toEqual([]);
  });

  it.each([
    ['canvas/main', "import { Scene } from '../arena/view/scene';"],
    ['arena/client', 'import type { Board } from "../lounge/board";'],
    ['arena/client', 'import init from "../pkg/lounge.js";'],
    ['arena/main', "const page = await import('../lobby/main');"],
    ['shared/chat/panel', "import type { ChatLine } from '../../arena/client-event';"],
    ['shared/link/link.test', "import { Client } from '../../pkg/arena.js';"],
    ['shared/base', "@import '../lobby/sky.css';"],
    ['lobby/board', "import { Minimap } from '../arena/hud/minimap';"],
    ['lobby/main', "import { Application } from 'pixi.js';"],
    ['arena/view/land', "export { Link } from '../../shared/link/link';"],
    ['arena/view/deep/tags', "import { Hud } from '../../hud/hud';"],
    ['arena/hud/chat', "import { Link } from '../../shared/link/link';"],
    ['arena/hud/score', "import { Scene } from '../view/scene';"],
  ])('a forbidden import is found: %s: %s', (path, text) => {
    expect(violations({ path, text }, ['arena', 'canvas', 'lobby', 'lounge'])).toHaveLength(1);
  });

  it('what is allowed is not found', () => {
    const text = "import { el } from '../../shared/dom'; import { X } from './x'; import { Conditioner } from '../../shared/link/conditioner-controls';";
    expect(violations({ path: 'arena/hud/network', text })).toEqual([]);
    expect(violations({ path: 'arena/view/scene', text: "import { Container } from 'pixi.js';" })).toEqual([]);
  });

  it('there are sources of every page', () => {
    for (const folder of ['arena', 'arena/view', 'arena/hud', 'lobby', 'shared/link', 'shared/chat', 'shared/generated']) {
      expect(product.some(({ path }) => dirname(path) === folder), folder).toBe(true);
    }
  });

  it('only one file of a kind knows its wasm package', () => {
    const who = product.filter((source) => importsOf(source).some((target) => target.startsWith('pkg/')));
    expect(who.map(({ file }) => file).sort()).toEqual([...KINDS].sort().map((kind) => `${kind}/client.ts`));
  });

  it('every kind has its page, and its crate for the browser, and there is none besides', () => {
    expect(readdirSync(join(ROOT, 'wasm')).sort()).toEqual([...KINDS].sort());
    for (const kind of KINDS) expect(readdirSync(join(ROOT, kind))).toContain('index.html');
  });

  it('only one file opens the game socket', () => {
    const who = product.filter(({ text }) => text.includes('new WebSocket('));
    expect(who.map(({ file }) => file).sort()).toEqual(['lobby/ping.ts', 'shared/link/link.ts']);
  });

  it.each(product)('$file stays readable', ({ text }) => {
    expect(text.split('\n').length).toBeLessThanOrEqual(MAX_LINES);
  });
});
