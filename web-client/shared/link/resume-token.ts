// The token that resumes this tab's session in a room.
//
// Each use of a token rotates it, and a duplicated tab carries on the session of the first. So that either can take it back,
// the newest token of each session lies where all tabs see it; which session is this tab's, only the tab knows. Two tabs
// that came one by one have a session each. Tabs that write at the same moment may undo each other's entries, so what lies
// there counts only where it is newer than what the tab has itself. Invariant: what all tabs see is bounded by `SESSIONS_MAX`, oldest out first.
import type { Store } from '../store';

const NEWEST = 'sessions';
/** Policy: the session that was welcomed longest ago is forgotten; its tab then only knows its own token. */
export const SESSIONS_MAX = 16;

export class Resume {
  private refused: string | undefined;

  /** `room`: its durable id. */
  constructor(
    private readonly tab: Store,
    private readonly shared: Store,
    private readonly room: string,
  ) {}

  /** The newest there is, unless the room has refused it. */
  get token(): string | undefined {
    const own = this.tab.get(this.key);
    if (own === undefined) return undefined;
    const newest = newer(own, this.sessions().get(this.session(own)));
    return newest === this.refused ? undefined : newest;
  }

  /** What its holder may do in the room. */
  get role(): string | undefined {
    return this.token?.split('.')[3];
  }

  /** The room issued this one. */
  keep(token: string): void {
    this.refused = undefined;
    this.tab.set(this.key, token);
    const sessions = this.sessions();
    const session = this.session(token);
    // A map keeps the order in which its keys came.
    sessions.delete(session);
    sessions.set(session, token);
    const lines = [...sessions].slice(-SESSIONS_MAX).map(([name, newest]) => `${name} ${newest}`);
    this.shared.set(NEWEST, lines.join('\n'));
  }

  /** The room does not accept the newest any more: come as somebody new. */
  refuse(): void {
    this.refused = this.token ?? this.refused;
  }

  /** This tab leaves the session. */
  forget(): void {
    this.tab.remove(this.key);
  }

  private get key(): string {
    return `resume:${this.room}`;
  }

  /** The first two parts of a token, `epoch.member.generation.role.mac`, stay the same. */
  private session(token: string): string {
    return `${this.room}/${token.split('.').slice(0, 2).join('.')}`;
  }

  private sessions(): Map<string, string> {
    const lines = (this.shared.get(NEWEST) ?? '').split('\n');
    const pairs = lines.map((line) => line.split(' ')).filter((parts): parts is [string, string] => parts.length === 2);
    return new Map(pairs);
  }
}

/** Of two tokens of one session: each use of one makes the generation, its third part, greater. */
function newer(own: string, shared: string | undefined): string {
  return shared !== undefined && generation(shared) > generation(own) ? shared : own;
}

function generation(token: string): number {
  return Number(token.split('.')[2]);
}
