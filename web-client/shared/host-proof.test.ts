import { describe, expect, it } from 'vitest';
import { HostProof, PROOFS_MAX } from './host-proof';
import { openStore } from './store';

/** Remembers as long as the test. */
const browser = () => openStore(() => { throw new Error('denied'); });

describe('a host’s proof', () => {
  it('is kept by room', () => {
    const store = browser();
    new HostProof(store, 'arena-p-a').keep('aa');
    new HostProof(store, 'arena-p-b').keep('bb');
    new HostProof(store, 'arena-p-a').keep('cc');
    expect(['arena-p-a', 'arena-p-b', 'arena-p-c'].map((room) => new HostProof(store, room).token)).toEqual(['cc', 'bb', undefined]);
  });

  it('that the lobby refuses is forgotten', () => {
    const store = browser();
    const proof = new HostProof(store, 'arena-p-a');
    proof.forget();
    proof.keep('aa');
    proof.forget();
    expect(proof.token).toBeUndefined();
  });

  it('makes room for those of newer rooms', () => {
    const store = browser();
    for (let room = 0; room < 2 * PROOFS_MAX; room += 1) new HostProof(store, `arena-p-${room}`).keep(`proof-${room}`);
    expect(store.get('hosts')?.split('\n')).toHaveLength(PROOFS_MAX);
    expect(new HostProof(store, 'arena-p-0').token).toBeUndefined();
    expect(new HostProof(store, `arena-p-${2 * PROOFS_MAX - 1}`).token).toBe(`proof-${2 * PROOFS_MAX - 1}`);
  });
});
