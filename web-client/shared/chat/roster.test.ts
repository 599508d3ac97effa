import { describe, expect, it } from 'vitest';
import { Roster } from './roster';

describe('roster', () => {
  it('asks again until a name is known, and then rarely', () => {
    let now = 0;
    let asked = 0;
    let name: string | undefined;
    const roster = new Roster({ name_of: () => ((asked += 1), name), hue_of: () => 4 }, () => now);
    expect(roster.nameOf(7)).toBeUndefined();
    expect(roster.nameOf(7)).toBeUndefined();
    expect(asked).toBe(1);
    name = 'Ada';
    now = 500;
    expect(roster.nameOf(7)).toBe('Ada');
    expect(roster.hueOf(7)).toBe(4);
    for (now = 501; now < 4_000; now += 16) roster.nameOf(7);
    expect(asked).toBe(2);
  });

  it('knows nobody by the number 0', () => {
    const roster = new Roster({ name_of: () => 'nobody', hue_of: () => 0 }, () => 0);
    expect(roster.nameOf(0)).toBeUndefined();
  });
});
