// A visit to a room, whatever kind it is: who we are, where the room is, the link to it, and the ways in and out.
//
// Path: the address says who comes and with which ticket → `connect` opens the link → `welcomed` keeps what the room
// answered → `leave`. Never: what the room is about; a kind's page has the events and shows them.
import { Budget } from './link/budget';
import { Link, type MessageClient } from './link/link';
import { ASKS_MAX, FOLLOWS_MAX } from './link/reconnect-policy';
import type { LinkState } from './link/reconnector';
import { Resume } from './link/resume-token';
import { RoomLocation } from './link/room-location';
import { hasReloaded, kept, loadAgain } from './loading';
import { loadMe, parseArrival, saveMe, type Me } from './me';
import type { SessionEvent } from './session';
import { longStore, tabStore, type Store } from './store';

/** What the wasm client of every kind can do. */
export interface RoomClient extends MessageClient {
  hello(name: string, hue: number, ticket?: string, resume?: string): Uint8Array;
  rename(name: string, hue: number): void;
  leave(): void;
  resume_token(): string | undefined;
}

export interface VisitOptions {
  onState(state: LinkState): void;
  /** What is typed and not said. */
  draft(): string;
  /** The room says something more often than this; after such a silence the way is dead even if nobody said so. */
  silenceMaxMs: number;
}

export class Visit {
  readonly store: Store = longStore();
  readonly me: Me;
  /** What was typed and not said before this page was loaded again by itself. */
  readonly draft = kept.draft ?? '';
  private readonly tab = tabStore();
  readonly room = new RoomLocation(this.store);
  private readonly resume = new Resume(this.tab, this.store, this.room.durableId);
  private readonly arrival = parseArrival(location.hash);
  private comesFromLobby = this.arrival.ticket !== undefined;

  constructor() {
    this.me = loadMe(this.store);
    this.me.name = this.arrival.name ?? kept.name ?? this.me.name;
    this.me.hue = this.arrival.hue ?? kept.hue ?? this.me.hue;
    if (this.arrival.host !== undefined) this.becomeHost(this.arrival.host);
    if (kept.resume !== undefined && this.resume.token === undefined) this.resume.keep(kept.resume);
    // Back from elsewhere to a page that the browser kept: who was here has left meanwhile.
    addEventListener('pageshow', ({ persisted }) => {
      if (persisted) location.reload();
    });
  }

  /** Whoever was here as a member comes anew: a token says for good what its holder may do. */
  private becomeHost(proof: string): void {
    this.room.hostProof.keep(proof);
    if (this.resume.role !== 'host') this.resume.refuse();
  }

  /** The link to the room, not yet opened. */
  connect(client: RoomClient, { onState, draft, silenceMaxMs }: VisitOptions): Link {
    const { me, resume, room, tab } = this;
    return new Link(
      {
        url: room.socketUrl,
        client,
        hello: (ticket) => client.hello(me.name, me.hue, ticket, resume.token),
        hasResume: () => resume.token !== undefined,
        askTicket: (signal, onStage) => {
          // A refused ticket and a refused token look alike: come as somebody new.
          resume.refuse();
          return room.askTicket(signal, onStage);
        },
        relocate: room.relocate,
        probe: room.probe,
        isOnline: () => navigator.onLine,
        joins: new Budget(tab, 'joins', ASKS_MAX),
        follows: new Budget(tab, 'follows', FOLLOWS_MAX),
        onState,
        silenceMaxMs,
        reload: () => loadAgain('mismatch', { ...me, draft: draft(), ...(resume.token === undefined ? {} : { resume: resume.token }) }),
        hasReloaded,
        now: () => performance.now(),
      },
      this.arrival.ticket,
    );
  }

  /** The room let us in. */
  welcomed(event: Extract<SessionEvent, { type: 'welcome' }>, client: RoomClient, link: Link): void {
    const { me } = this;
    // Resumed after a turn in the lobby: what was chosen there counts, not what the session still knows.
    if (event.resumed && this.comesFromLobby && event.name !== me.name) client.rename(me.name, me.hue);
    else Object.assign(me, { name: event.name, hue: event.hue });
    this.comesFromLobby = false;
    saveMe(this.store, me);
    const token = client.resume_token();
    if (token !== undefined) this.resume.keep(token);
    link.welcomed();
  }

  /** The person changed name or colour. */
  rename(client: RoomClient): void {
    saveMe(this.store, this.me);
    client.rename(this.me.name, this.me.hue);
  }

  leave(client: RoomClient, link: Link): void {
    // What is not received now would be sent at the next welcome, if the person comes back here after all.
    if (link.isWelcomed) client.leave();
    link.leave();
    this.resume.forget();
  }
}

/** `onLeave` hears of every way to the lobby that leads out of this tab's room. */
export function watchWaysOut(onLeave: () => void): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>('a[href="/"]')) {
    link.addEventListener('click', ({ button, ctrlKey, metaKey, shiftKey, altKey }) => {
      // Another tab, another window, a download: then this one stays.
      if (button === 0 && !ctrlKey && !metaKey && !shiftKey && !altKey) onLeave();
    });
  }
}
