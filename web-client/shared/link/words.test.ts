import { describe, expect, it } from 'vitest';
import { CLOSE } from '../generated/protocol';
import { afterClose, FOLLOWS_MAX, LOST_CODE, MISUNDERSTOOD_MAX, UNWELCOMED_MAX, type Situation } from './reconnect-policy';

const LOST: Situation = { code: LOST_CODE, attempt: 0, hasReloaded: true, misunderstood: 0, isSilent: false, unopened: 0, unwelcomed: 0, isReachable: false, isOnline: true, follows: 0 };

describe('while the page reconnects', () => {
  it.each([
    ...Object.values(CLOSE).map((code) => ({ code })),
    {}, { isSilent: true }, { unopened: 2 }, { unopened: 3, isReachable: true }, { unwelcomed: UNWELCOMED_MAX }, { isOnline: false },
    { code: CLOSE.badMessage, misunderstood: MISUNDERSTOOD_MAX }, { code: CLOSE.moved, follows: 1 }, { code: CLOSE.moved, follows: FOLLOWS_MAX },
  ])('it says what happens in one sentence or two, without shouting: %o', (trouble: Partial<Situation>) => {
    expect(afterClose({ ...LOST, ...trouble })).toHaveProperty('sentence', expect.stringMatching(/^[A-Z][^!]+\.$/));
  });

  it('has its own button for who may come back', () => {
    expect(afterClose({ ...LOST, code: CLOSE.replaced })).toEqual({ do: 'stop', sentence: 'You are here in another window now.', again: 'Come back here' });
    expect(afterClose({ ...LOST, code: CLOSE.moved, follows: FOLLOWS_MAX })).toMatchObject({ again: 'Try again' });
  });
});
