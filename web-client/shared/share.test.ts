import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseArrival } from './me';
import { hostLink, readerPath } from './share';

afterEach(() => void vi.unstubAllGlobals());

const lobbySays = (body: unknown): void => void vi.stubGlobal('fetch', () => Promise.resolve({ json: () => Promise.resolve(body) }));
const ROOM = { instance: 'm1', room: 'arena-p-abcdef2345' };

describe('links for others', () => {
  it('to read along come from the lobby, or a sentence does', async () => {
    lobbySays({ path: '/gameserver/m1/arena-r-0123' });
    await expect(readerPath(ROOM)).resolves.toBe('/gameserver/m1/arena-r-0123');
    lobbySays({ error: { code: 'x', message: 'Not this one.' } });
    await expect(readerPath(ROOM)).rejects.toThrow('Not this one.');
    vi.stubGlobal('fetch', () => Promise.reject(new Error('no network')));
    await expect(readerPath(ROOM)).rejects.toThrow(/^The lobby gives no link/);
  });

  it('of a host bring the proof where no server sees it', () => {
    const link = new URL(hostLink('https://a.example/gameserver/m1/arena-p-a', 'ab12'));
    expect([link.pathname, link.search, link.hash]).toEqual(['/gameserver/m1/arena-p-a', '', '#host=ab12']);
    expect(parseArrival(link.hash).host).toBe('ab12');
  });
});
