import { describe, expect, it } from 'vitest';
import { roomPath, hints, latencyText, median, ordered, parseDepartures, rowTexts, statusWord, withMeasured, type Region } from './regions';

function region(changes: Partial<Region>): Region {
  return {
    region: 'ewr',
    place: 'New Jersey',
    status: 'up',
    rooms: 1,
    players: 3,
    pilots: 23,
    capacity: 200,
    latency_ms: 12,
    latency: 'estimated',
    probe: 'i1',
    wake: null,
    ...changes,
  };
}

describe('the board', () => {
  it('puts the nearest region one can fly from first', () => {
    const regions = [
      region({ region: 'nrt', latency_ms: 160 }),
      region({ region: 'ewr', latency_ms: 10, status: 'full' }),
      region({ region: 'cdg', latency_ms: 75, status: 'asleep' }),
      region({ region: 'syd', latency_ms: null }),
    ];
    expect(ordered(regions).map((row) => row.region)).toEqual(['cdg', 'nrt', 'syd', 'ewr']);
  });

  it('lets company beat a little distance', () => {
    const asleep = region({ region: 'ewr', latency_ms: 10, status: 'asleep' });
    const first = (latency_ms: number): string | undefined => ordered([asleep, region({ region: 'iad', latency_ms })])[0]?.region;
    expect([first(29), first(31)]).toEqual(['iad', 'ewr']);
  });

  it('believes its own measurement over an estimate', () => {
    const [first] = withMeasured([region({})], new Map([['ewr', 31.6]]));
    expect(latencyText(first as Region)).toBe('32 ms');
    expect(latencyText(region({ latency_ms: 75.2 }))).toBe('~75 ms');
    expect(latencyText(region({ latency_ms: null }))).toBe('–');
    expect([hints(first as Region).latency, hints(region({})).latency]).toEqual(['Measured from here', 'Estimated from the distance']);
  });

  it('says how long a region has been waking, and how long a wake usually takes', () => {
    expect(statusWord('waking', 1234)).toBe('WAKING 1.2 s');
    expect(statusWord('asleep', 0)).toBe('ASLEEP');
    expect(statusWord('up', 0)).toBe('READY');
    const asleep = region({ status: 'asleep', wake: { p50_ms: 1240, p95_ms: 2100, samples: 9 } });
    expect(rowTexts(asleep, 0).wake).toBe('wakes in 1.2 s');
    expect(rowTexts({ ...asleep, status: 'up' }, 0).wake).toBe('');
    expect(hints(asleep).wake).toBe('Half of the last 9 wakes took at most 1.2 s, 95 % at most 2.1 s');
  });

  it('counts people apart from computer pilots, rooms where there are several, and nobody where nothing runs', () => {
    expect(rowTexts(region({}), 0)).toMatchObject({ pilots: '23', people: '3 people', rooms: '' });
    expect(rowTexts(region({ players: 1, rooms: 2 }), 0)).toMatchObject({ people: '1 person', rooms: ', 2 rooms' });
    expect(rowTexts(region({ status: 'asleep' }), 0)).toMatchObject({ pilots: '–', people: '' });
  });

  it('survives answers from another version', () => {
    expect(parseDepartures({ nonsense: true })).toBeUndefined();
    const departures = parseDepartures({ regions: [{ ...region({}), status: 'upside-down' }, {}] });
    expect(departures?.regions.map(({ status }) => status)).toEqual(['unreachable']);
    expect(departures?.stale).toBe(false);
  });

  it('takes the middle of three measurements', () => {
    expect(median([40, 12, 13])).toBe(13);
    expect(median([])).toBeUndefined();
  });
});

describe('a pasted link', () => {
  const origin = 'https://fields.example';
  it('leads to a room here', () => {
    expect(roomPath(' https://fields.example/gameserver/148e21/arena#t=x ', origin)).toBe('/gameserver/148e21/arena');
    expect(roomPath('https://fields.example/gameserver/148e21/field-abc?new', origin)).toBe('/gameserver/148e21/field-abc');
    expect(roomPath('/gameserver/148e21/arena/', origin)).toBe('/gameserver/148e21/arena');
  });
  it('leads nowhere else', () => {
    expect(roomPath('https://elsewhere.example/gameserver/148e21/arena', origin)).toBeUndefined();
    expect(roomPath('javascript:alert(1)', origin)).toBeUndefined();
    expect(roomPath('/gameserver/a/b/c', origin)).toBeUndefined();
  });
});
