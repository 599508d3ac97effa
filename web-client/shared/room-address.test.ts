import { afterEach, describe, expect, it, vi } from 'vitest';
import { DURABLE_ID_EXAMPLES } from './generated/protocol';
import { durableId, followRedirect, isAlias, isPrivate, isWatching, lastingAddress, roomAddressOf, serverAnswers, socketUrl } from './room-address';

afterEach(() => vi.unstubAllGlobals());

describe("a room's address", () => {
  it('names machine and room', () => {
    expect(roomAddressOf('/gameserver/148e/field-abc')).toEqual({ instance: '148e', room: 'field-abc' });
  });

  it('keeps its id wherever it goes', () => {
    for (const [instance, room, id] of DURABLE_ID_EXAMPLES) expect(durableId(roomAddressOf(`/gameserver/${instance}/${room}`))).toBe(id);
  });

  it('keeps that a page only looks on, and nothing else that is said once', () => {
    expect(lastingAddress({ pathname: '/gameserver/i/arena', search: '?watch' })).toBe('/gameserver/i/arena?watch');
    expect(lastingAddress({ pathname: '/gameserver/i/arena', search: '?new' })).toBe('/gameserver/i/arena');
    expect(isWatching({ search: '' })).toBe(false);
  });

  it('tells who finds the room', () => {
    const rooms = ['arena', 'arena-m1', 'arena-p-abc', 'field-abc', 'arena-r-0a1b'];
    expect(rooms.filter(isPrivate)).toEqual(['arena-p-abc', 'field-abc']);
    expect(rooms.filter(isAlias)).toEqual(['arena-r-0a1b']);
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
    expect(await serverAnswers('/gameserver/i/arena?watch')).toBe(true);
    expect(fetch.mock.calls.map(([url]) => url)).toEqual(['/gameserver/i/status', '/gameserver/i/status?watch']);
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
