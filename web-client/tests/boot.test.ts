// The script that watches over the pages' own, against a page made of fakes.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const BOOT = readFileSync(fileURLToPath(new URL('../public/assets/boot.js', import.meta.url)), 'utf8');

/** A page whose script comes as `script` says; `state`: what the page before it left in the history. */
function page(script: Promise<unknown>, state: unknown = null, readyState = 'complete') {
  const shown: { sentence?: string; boot?: string } = {};
  let whenParsed = (): void => undefined;
  const document = {
    readyState,
    documentElement: { setAttribute: (_: string, value: string) => (shown.boot = value) },
    querySelector: () => ({ src: 'assets/index-x.js' }),
    getElementById: () => ({ set textContent(sentence: string) { shown.sentence = sentence; } }),
    addEventListener: (_: string, action: () => void) => (whenParsed = action),
  };
  const history = { state, replaceState: (next: unknown) => (history.state = next) };
  const location = { reload: vi.fn() };
  const source = BOOT.replace('import(script.src)', 'load(script.src)');
  new Function('document', 'history', 'location', 'console', 'load', source)(document, history, location, { error: () => undefined }, () => script);
  return { shown, history, location, parse: () => {
    document.readyState = 'interactive';
    whenParsed();
  } };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a page whose script', () => {
  it('comes is left alone', async () => {
    const { shown, location } = page(Promise.resolve());
    await vi.advanceTimersByTimeAsync(120_000);
    expect([location.reload.mock.calls.length, shown]).toEqual([0, {}]);
  });

  it('does not come is loaded again, once, and then says so', async () => {
    const first = page(Promise.reject(new TypeError('404')));
    await vi.advanceTimersByTimeAsync(1);
    expect([first.location.reload.mock.calls.length, first.shown]).toEqual([1, {}]);
    const second = page(Promise.reject(new TypeError('404')), first.history.state);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(second.location.reload).not.toHaveBeenCalled();
    expect(second.shown).toEqual({ boot: 'failed', sentence: 'Part of this page did not arrive. Check your connection and load it again.' });
  });

  it('hangs is loaded again after 30 s, once, and then says that it is slow, not that it is over', async () => {
    const first = page(new Promise(() => undefined));
    await vi.advanceTimersByTimeAsync(29_999);
    expect(first.location.reload).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(first.location.reload).toHaveBeenCalledOnce();
    const second = page(new Promise(() => undefined), first.history.state);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(second.location.reload).not.toHaveBeenCalled();
    expect(second.shown).toMatchObject({ boot: 'late', sentence: expect.stringContaining('slow') });
  });

  it('is not understood is the only one that blames the browser', async () => {
    const { shown } = page(Promise.reject(new SyntaxError('Unexpected token')), { reloaded: true });
    await vi.advanceTimersByTimeAsync(1);
    expect(shown.sentence).toContain('too old');
  });

  it('fails before the page is read to its end has the sentence afterwards', async () => {
    const { shown, parse } = page(Promise.reject(new TypeError('404')), { reloaded: true }, 'loading');
    await vi.advanceTimersByTimeAsync(1);
    expect(shown).toEqual({});
    parse();
    expect(shown.boot).toBe('failed');
  });
});
