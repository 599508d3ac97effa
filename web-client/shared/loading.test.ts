// What a page knows of the load before it, against a history made of a fake.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Reason } from './loading';

const location = { reload: vi.fn() };

/** The page that finds this state in its history. */
async function page(state: unknown) {
  const history = { state, replaceState: (next: unknown) => (history.state = next) };
  vi.stubGlobal('history', history);
  vi.resetModules();
  return { history, loading: await import('./loading') };
}

beforeEach(() => {
  location.reload.mockClear();
  vi.stubGlobal('location', location);
});
afterEach(() => void vi.unstubAllGlobals());

describe('a page', () => {
  it('that is loaded for the first time trusts the cache', async () => {
    const { loading } = await page(null);
    expect([loading.hasReloaded, loading.isCacheSuspect]).toEqual([false, false]);
  });

  it.each<[Reason, boolean]>([['failed', true], ['late', false], ['mismatch', true]])('that loaded itself again (%s) knows that, and whether to go past the cache: %s', async (reason, isPast) => {
    const first = await page(null);
    first.loading.loadAgain(reason);
    expect(location.reload).toHaveBeenCalledOnce();
    const { loading } = await page(first.history.state);
    expect([loading.hasReloaded, loading.isCacheSuspect]).toEqual([true, isPast]);
  });

  it('that loads itself again hands on what a person would miss, and only then', async () => {
    const first = await page(null);
    expect(first.loading.kept).toEqual({});
    const kept = { name: 'Ada', hue: 3, resume: '1.7.2.member.aa', draft: 'half a sen' };
    first.loading.loadAgain('mismatch', kept);
    expect((await page(first.history.state)).loading.kept).toEqual(kept);
  });

  it('whose script was loaded again by the one that watches over it trusts the cache for the rest', async () => {
    const { loading } = await page({ reloaded: true });
    expect([loading.hasReloaded, loading.isCacheSuspect]).toEqual([true, false]);
  });
});
