import { describe, expect, it } from 'vitest';
import { callSign, tidyCallSign } from './callsigns';
import { NAME_MAX_BYTES } from './generated/protocol';
import { arrivalFragment, loadMe, parseArrival, saveMe } from './me';
import { openStore } from './store';

const denied = () => openStore(() => { throw new Error('denied'); });

describe('who is flying', () => {
  it('gets a call sign that fits the wire', () => {
    for (let step = 0; step < 500; step += 1) {
      const name = callSign(Math.random);
      expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(NAME_MAX_BYTES);
      expect(tidyCallSign(name)).toBe(name);
    }
  });

  it('cuts a typed name at a whole character', () => {
    expect(tidyCallSign('  a \n\t b  ')).toBe('a b');
    expect(tidyCallSign('é'.repeat(30))).toBe('é'.repeat(12));
    expect(tidyCallSign('\u202e ')).toBe('');
  });

  it('is remembered on this page even where storage is denied', () => {
    const store = denied();
    saveMe(store, { name: 'Ada', hue: 3 });
    expect(store.lasts).toBe(false);
    expect(loadMe(store)).toEqual({ name: 'Ada', hue: 3 });
  });

  it('travels in the link only where nothing is remembered', () => {
    const me = { name: 'Ada & Co', hue: 5 };
    const place = { ticket: 'a.b' };
    expect(arrivalFragment(place, me, true)).toBe('#t=a.b');
    expect(parseArrival(arrivalFragment({ ...place, host: 'c' }, me, false))).toEqual({ ticket: 'a.b', host: 'c', name: 'Ada & Co', hue: 5 });
    expect(parseArrival('')).toEqual({ ticket: undefined, host: undefined, name: undefined, hue: undefined });
    expect(parseArrival('#h=99').hue).toBeUndefined();
  });
});
