import { describe, expect, it } from 'vitest';
import { fieldPath, latencyText, median, ordered, parseDepartures, rowTexts, statusWord, withMeasured, type Server } from './servers';

function server(changes: Partial<Server>): Server {
  return { instance: 'i1', region: 'ewr', place: 'New Jersey', status: 'ready', players: 3, pilots: 23, capacity: 200, latency_ms: 12, latency: 'estimated', ...changes };
}

describe('the board', () => {
  it('puts the nearest field one can fly from first', () => {
    const servers = [
      server({ instance: 'a', region: 'nrt', latency_ms: 160 }),
      server({ instance: 'b', region: 'ewr', latency_ms: 10, status: 'full' }),
      server({ instance: 'c', region: 'cdg', latency_ms: 75, status: 'asleep' }),
    ];
    expect(ordered(servers).map(({ instance }) => instance)).toEqual(['c', 'a', 'b']);
  });

  it('believes its own measurement over an estimate', () => {
    const [first] = withMeasured([server({})], new Map([['i1', 31.6]]));
    expect(latencyText(first as Server)).toBe('32 ms');
    expect(latencyText(server({ latency_ms: 75.2 }))).toBe('~75 ms');
  });

  it('says how long a machine has been waking', () => {
    expect(statusWord('waking', 1234)).toBe('WAKING 1.2 s');
    expect(statusWord('asleep', 0)).toBe('ASLEEP');
  });

  it('counts people apart from computer pilots, and nobody where nothing runs', () => {
    expect(rowTexts(server({}), 0)).toMatchObject({ pilots: '23', people: '3 people' });
    expect(rowTexts(server({ players: 1 }), 0).people).toBe('1 person');
    expect(rowTexts(server({ status: 'asleep' }), 0)).toMatchObject({ pilots: '–', people: '' });
  });

  it('survives answers from another version', () => {
    expect(parseDepartures({ nonsense: true })).toBeUndefined();
    const departures = parseDepartures({ servers: [{ ...server({}), status: 'upside-down' }, {}] });
    expect(departures?.servers.map(({ status }) => status)).toEqual(['unreachable']);
  });

  it('takes the middle of three measurements', () => {
    expect(median([40, 12, 13])).toBe(13);
    expect(median([])).toBeUndefined();
  });
});

describe('a pasted link', () => {
  const origin = 'https://fields.example';
  it('leads to a field here', () => {
    expect(fieldPath(' https://fields.example/gameserver/148e21/arena#t=x ', origin)).toBe('/gameserver/148e21/arena');
    expect(fieldPath('/gameserver/148e21/arena/', origin)).toBe('/gameserver/148e21/arena');
  });
  it('leads nowhere else', () => {
    expect(fieldPath('https://elsewhere.example/gameserver/148e21/arena', origin)).toBeUndefined();
    expect(fieldPath('javascript:alert(1)', origin)).toBeUndefined();
    expect(fieldPath('/gameserver/a/b/c', origin)).toBeUndefined();
  });
});
