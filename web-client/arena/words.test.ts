import { describe, expect, it } from 'vitest';
import { CLOSE } from '../shared/generated/protocol';
import { afterClose, FOLLOWS_MAX, LOST_CODE, UNWELCOMED_MAX, type Situation } from '../shared/link/reconnect-policy';
import { WORDS } from './words';

const LOST: Situation = { code: LOST_CODE, attempt: 0, hasReloaded: true, isSilent: false, unopened: 0, unwelcomed: 0, isReachable: false, isOnline: true, follows: 0 };

describe('while the page reconnects', () => {
  it.each([
    ...Object.values(CLOSE).map((code) => ({ code })),
    {}, { isSilent: true }, { unopened: 2 }, { unopened: 3, isReachable: true }, { unwelcomed: UNWELCOMED_MAX }, { isOnline: false },
    { code: CLOSE.moved, follows: 1 }, { code: CLOSE.moved, follows: FOLLOWS_MAX },
  ])('it says what happens in one sentence or two, without shouting: %o', (trouble: Partial<Situation>) => {
    expect(afterClose({ ...LOST, ...trouble }, WORDS)).toHaveProperty('sentence', expect.stringMatching(/^[A-Z][^!]+\.$/));
  });

  it('has its own button for who may come back', () => {
    expect(afterClose({ ...LOST, code: CLOSE.replaced }, WORDS)).toEqual({ do: 'stop', sentence: 'You are flying in another window now.', again: 'Fly here again' });
    expect(afterClose({ ...LOST, code: CLOSE.moved, follows: FOLLOWS_MAX }, WORDS)).toMatchObject({ again: 'Try again' });
  });
});
