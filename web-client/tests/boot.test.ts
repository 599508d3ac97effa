// The script that watches over the pages' own, against a page made of fakes.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const BOOT = readFileSync(fileURLToPath(new URL('../public/assets/boot.js', import.meta.url)), 'utf8');

/** A page whose script comes as `script` says; `state`: what the page before it left in the history. */
function page(script: Promise<unknown>, state: unknown = null, readyState = 'complete', isScriptParsed = true, isScriptThere = true) {
  const shown: { sentence?: string; boot?: string } = {};
  const whenParsed: (() => void)[] = [];
  const load = vi.fn(() => script);
  const document = {
    readyState,
    documentElement: { setAttribute: (_: string, value: string) => (shown.boot = value) },
    querySelector: () => (isScriptParsed ? { src: 'assets/index-x.js' } : null),
    getElementById: () => ({ set textContent(sentence: string) { shown.sentence = sentence; } }),
    // `DOMContentLoaded` waits for the script, and so comes too late for one that hangs.
    addEventListener: (event: string, action: () => void) => void (event === 'readystatechange' && whenParsed.push(action)),
  };
  const history = { state, replaceState: (next: unknown) => (history.state = next) };
  const location = { reload: vi.fn() };
  const source = BOOT.replace('import(script.src)', 'load(script.src)');
  new Function('document', 'history', 'location', 'console', 'load', source)(document, history, location, { error: () => undefined }, load);
  return { shown, history, location, load, parse: () => {
    isScriptParsed = isScriptThere;
    document.readyState = 'interactive';
    for (const action of whenParsed.splice(0)) action();
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

  it('is not read yet when this runs is watched from then on, and left alone if it comes', async () => {
    const { shown, location, load, parse } = page(Promise.resolve(), null, 'loading', false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(load).not.toHaveBeenCalled();
    parse();
    expect(load).toHaveBeenCalledExactlyOnceWith('assets/index-x.js');
    await vi.advanceTimersByTimeAsync(120_000);
    expect([location.reload.mock.calls.length, shown]).toEqual([0, {}]);
  });

  it('is not read yet when this runs, and then hangs, is loaded again 30 s after', async () => {
    const { location, parse } = page(new Promise(() => undefined), null, 'loading', false);
    parse();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(location.reload).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(location.reload).toHaveBeenCalledOnce();
  });

  it('is missing from a page that was cut off is a part that did not arrive', async () => {
    const { shown, parse } = page(Promise.resolve(), { reloaded: true }, 'loading', false, false);
    parse();
    expect(shown.boot).toBe('failed');
  });
});
