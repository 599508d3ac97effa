import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { followDepartures } from './feed';

class FakeStream extends EventTarget {
  static readonly CLOSED = 2;
  static all: FakeStream[] = [];
  readyState = 1;

  constructor(readonly url: string) {
    super();
    FakeStream.all.push(this);
  }

  close(): void {
    this.readyState = FakeStream.CLOSED;
  }

  tell(data: unknown): void {
    this.dispatchEvent(new MessageEvent('regions', { data: JSON.stringify(data) }));
  }
}

const BOARD = { you: { region: null }, stale: false, kinds: [], regions: [] };

/** A board that follows; `answer`: what a look at it gets. */
function follow(answer: (signal: AbortSignal) => Promise<unknown>) {
  const [news, troubles] = [vi.fn(), [] as string[]];
  const look = vi.fn((_: string, { signal }: { signal: AbortSignal }) => answer(signal).then((json) => ({ json: async () => json })));
  vi.stubGlobal('fetch', look);
  followDepartures(news, (sentence) => troubles.push(sentence));
  return { news, troubles, look };
}

const never = (signal: AbortSignal): Promise<never> => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));

beforeEach(() => {
  vi.useFakeTimers();
  FakeStream.all = [];
  vi.stubGlobal('EventSource', FakeStream);
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const end = new AbortController();
    setTimeout(() => end.abort(), ms);
    return end.signal;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('the board', () => {
  it('says so when nothing answers, and looks once at a time', async () => {
    const { troubles, look } = follow(never);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(look).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(troubles.at(-1)).toContain('cannot reach the lobby');
    expect(look.mock.calls.length).toBeLessThanOrEqual(2);
  });

  it('says so when what answers is no board', async () => {
    const { news, troubles } = follow(async () => ({ error: 'no' }));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(news).not.toHaveBeenCalled();
    expect(troubles.at(-1)).toContain('cannot reach the lobby');
  });

  it('looks by itself when a stream has been silent for long, dead or not', async () => {
    const { news, look } = follow(async () => BOARD);
    FakeStream.all[0]?.tell(BOARD);
    await vi.advanceTimersByTimeAsync(29_000);
    expect([news.mock.calls.length, look.mock.calls.length]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(32_000);
    expect([news.mock.calls.length, look.mock.calls.length]).toEqual([3, 2]);
  });
});
