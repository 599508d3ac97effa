import { describe, expect, it } from 'vitest';
import { hints, kindOf, latencyText, median, ordered, parseDepartures, regionsFor, roomPath, rowTexts, statusWord, withMeasured, type Departures, type Region } from './regions';

function region(changes: Partial<Region>): Region {
  return {
    region: 'ewr',
    place: 'New Jersey',
    status: 'up',
    people: 3,
    latency_ms: 12,
    latency: 'estimated',
    probe: 'i1',
    wake: null,
    ...changes,
  };
}

describe('the board', () => {
  it('puts the nearest region one can go to first', () => {
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

  it('counts people, and nobody where nothing runs', () => {
    expect(rowTexts(region({}), 0).people).toBe('3');
    expect(rowTexts(region({ people: 0, status: 'full' }), 0).people).toBe('0');
    expect(rowTexts(region({ status: 'asleep' }), 0).people).toBe('–');
  });

  const kinds = [
    { word: 'arena', title: 'Dogfight', about: 'Planes.', webgl: true },
    { word: 'lounge', title: 'Lounge', about: 'Talk.', webgl: false },
  ];
  const both = { arena: { status: 'full', people: 200 }, lounge: { status: 'up', people: 4 } };

  it('is the one of the kind of room that is wanted', () => {
    const departures = parseDepartures({ kinds, regions: [{ ...region({}), kinds: both }] }) as Departures;
    expect(regionsFor('arena', departures)).toMatchObject([{ status: 'full', people: 200 }]);
    expect(regionsFor('lounge', departures)).toMatchObject([{ status: 'up', people: 4 }]);
    expect(['lounge', 'cellar', undefined].map((word) => kindOf(departures, word)?.title)).toEqual(['Lounge', 'Dogfight', 'Dogfight']);
  });

  it('survives answers from another version', () => {
    expect(parseDepartures({ nonsense: true })).toBeUndefined();
    const strange = { ...region({}), kinds: { arena: { status: 'upside-down', people: 1 } } };
    const departures = parseDepartures({ kinds: [...kinds, {}], regions: [strange, {}] }) as Departures;
    expect(regionsFor('arena', departures).map(({ status }) => status)).toEqual(['unreachable']);
    expect(regionsFor('lounge', departures).map(({ status }) => status)).toEqual(['unreachable']);
    expect([departures.stale, departures.kinds.length]).toEqual([false, 2]);
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
