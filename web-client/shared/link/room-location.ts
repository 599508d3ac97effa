// Where the page's room is now, and how the lobby lets the page into it; the page's own address follows.
import { HostProof } from '../host-proof';
import { join, JoinError } from '../join';
import { durableId, followRedirect, isWatching, lastingAddress, roomAddressOf, serverAnswers, socketUrl, type RoomAddress } from '../room-address';
import type { Store } from '../store';
import type { Ask, JoinGrant } from './reconnector';

const NO_GRANT = 'The lobby could not find you a place. Trying again.';
/** The lobby's word for a proof that is not this room's. */
const NOT_THE_HOST = 'not_the_host';

export class RoomLocation {
  private path = location.pathname.replace(/\/$/, '');
  private readonly isWatching = isWatching(location);

  /** The same wherever the room goes. */
  readonly durableId = durableId(roomAddressOf(this.path));
  readonly hostProof: HostProof;

  /** `store`: the browser's. */
  constructor(store: Store) {
    this.hostProof = new HostProof(store, this.durableId);
  }

  /** Which room on which machine, for now. */
  get place(): RoomAddress {
    return roomAddressOf(this.path);
  }

  /** What the page is called. */
  private get address(): string {
    return lastingAddress({ pathname: this.path, search: location.search });
  }

  get socketUrl(): string {
    return socketUrl(this.address, location.href);
  }

  /** Asks the lobby to let the page into this room. */
  readonly askTicket: Ask = (signal, onStage) => this.askAt(this.path, signal, onStage);

  /** A room that has moved tells by its page where it is; of one whose machine is gone only the lobby knows. */
  readonly relocate = async (why: 'gone' | 'moved', ...[signal, onStage]: Parameters<Ask>): Promise<JoinGrant> =>
    this.askAt(why === 'moved' ? await followRedirect(this.path) : this.path, signal, onStage);

  /** Whether the room's server answers over plain HTTP. */
  readonly probe = (): Promise<boolean> => serverAnswers(this.address);

  private async askAt(path: string, ...[signal, onStage]: Parameters<Ask>): Promise<JoinGrant> {
    try {
      const host = this.hostProof.token;
      const request = { ...roomAddressOf(path), ...(host !== undefined && { host }), ...(this.isWatching && { watch: true }) };
      const answer = await join(request, ({ message }) => onStage(message), signal);
      this.path = answer.path.split(/[?#]/)[0] ?? this.path;
      history.replaceState(null, '', this.address);
      return { url: this.socketUrl, ticket: answer.ticket };
    } catch (error) {
      if (error instanceof JoinError && error.code === NOT_THE_HOST) this.hostProof.forget();
      throw new Error(error instanceof JoinError ? error.message : NO_GRANT);
    }
  }
}
