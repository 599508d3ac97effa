import { afterEach, describe, expect, it, vi } from 'vitest';
import { DURABLE_ID_EXAMPLES } from './generated/protocol';
import { durableId, followRedirect, roomAddressOf, serverAnswers, socketUrl } from './room-address';

afterEach(() => vi.unstubAllGlobals());

describe("a room's address", () => {
  it('names machine and room', () => {
    expect(roomAddressOf('/gameserver/148e/field-abc')).toEqual({ instance: '148e', room: 'field-abc' });
  });

  it('keeps its id wherever it goes', () => {
    for (const [instance, room, id] of DURABLE_ID_EXAMPLES) expect(durableId(roomAddressOf(`/gameserver/${instance}/${room}`))).toBe(id);
  });

  it('has a socket at the same place', () => {
    expect(socketUrl('/gameserver/i/arena', 'https://play.example/gameserver/x/y?new#t')).toBe('wss://play.example/gameserver/i/arena');
    expect(socketUrl('/gameserver/i/arena', 'http://localhost:8080/')).toBe('ws://localhost:8080/gameserver/i/arena');
  });

  it('is followed to where its page is', async () => {
    vi.stubGlobal('fetch', async () => ({ url: 'https://play.example/gameserver/j/arena-i' }));
    expect(await followRedirect('/gameserver/i/arena')).toBe('/gameserver/j/arena-i');
    vi.stubGlobal('fetch', async () => Promise.reject(new Error('offline')));
    expect(await followRedirect('/gameserver/i/arena')).toBe('/gameserver/i/arena');
  });

  it('has a machine that answers, or none', async () => {
    const fetch = vi.fn(async (_: string) => ({ ok: true }));
    vi.stubGlobal('fetch', fetch);
    expect(await serverAnswers('/gameserver/i/arena')).toBe(true);
    expect(fetch.mock.calls[0]?.[0]).toBe('/gameserver/i/status');
    vi.stubGlobal('fetch', async () => ({ ok: false }));
    expect(await serverAnswers('/gameserver/i/arena')).toBe(false);
    vi.stubGlobal('fetch', async () => Promise.reject(new Error('offline')));
    expect(await serverAnswers('/gameserver/i/arena')).toBe(false);
  });

  it('waits for no machine that stands still', async () => {
    vi.useFakeTimers();
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      const end = new AbortController();
      setTimeout(() => end.abort(), ms);
      return end.signal;
    });
    vi.stubGlobal('fetch', (_: string, { signal }: { signal: AbortSignal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))));
    const asked = Promise.all([serverAnswers('/gameserver/i/arena'), followRedirect('/gameserver/i/arena')]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await asked).toEqual([false, '/gameserver/i/arena']);
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
});
