// The proof that a private room was made for this browser: whoever has it decides about the room.
//
// The lobby signs it when it makes the room. It travels in the fragment of an address, which no server and no log sees, and
// stays in this browser; a copied host link brings it to another one. Invariant: at most `PROOFS_MAX` are kept, the one that
// was kept longest ago out first.
import type { Store } from './store';

const PROOFS = 'hosts';
/** Policy: the oldest is forgotten; a host link that was copied still works. */
export const PROOFS_MAX = 100;

export class HostProof {
  /** `store`: the browser's; `room`: its durable id. */
  constructor(
    private readonly store: Store,
    private readonly room: string,
  ) {}

  get token(): string | undefined {
    return this.all().get(this.room);
  }

  keep(token: string): void {
    const all = this.all();
    // A map keeps the order in which its keys came.
    all.delete(this.room);
    this.write(all.set(this.room, token));
  }

  /** The lobby says that it is not this room's. */
  forget(): void {
    const all = this.all();
    if (all.delete(this.room)) this.write(all);
  }

  private all(): Map<string, string> {
    const lines = (this.store.get(PROOFS) ?? '').split('\n');
    return new Map(lines.map((line) => line.split(' ')).filter((parts): parts is [string, string] => parts.length === 2));
  }

  private write(all: Map<string, string>): void {
    const lines = [...all].slice(-PROOFS_MAX).map((pair) => pair.join(' '));
    this.store.set(PROOFS, lines.join('\n'));
  }
}
