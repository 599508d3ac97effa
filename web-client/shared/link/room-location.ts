// Where the page's room is now, and how the lobby lets the page into it; the page's own address follows.
import { join, JoinError } from '../join';
import { durableId, followRedirect, roomAddressOf, serverAnswers, socketUrl } from '../room-address';
import type { Ask, JoinGrant } from './reconnector';

const NO_GRANT = 'The lobby could not find you a place. Trying again.';

export class RoomLocation {
  private path = location.pathname.replace(/\/$/, '');

  /** The same wherever the room goes. */
  readonly durableId = durableId(roomAddressOf(this.path));

  get socketUrl(): string {
    return socketUrl(this.path, location.href);
  }

  /** Asks the lobby to let the page into this room. */
  readonly askTicket: Ask = (signal, onStage) => this.askAt(this.path, signal, onStage);

  /** A room that has moved tells by its page where it is; of one whose machine is gone only the lobby knows. */
  readonly relocate = async (why: 'gone' | 'moved', ...[signal, onStage]: Parameters<Ask>): Promise<JoinGrant> =>
    this.askAt(why === 'moved' ? await followRedirect(this.path) : this.path, signal, onStage);

  /** Whether the room's server answers over plain HTTP. */
  readonly probe = (): Promise<boolean> => serverAnswers(this.path);

  private async askAt(path: string, ...[signal, onStage]: Parameters<Ask>): Promise<JoinGrant> {
    try {
      const answer = await join(roomAddressOf(path), ({ message }) => onStage(message), signal);
      this.path = answer.path.split(/[?#]/)[0] ?? this.path;
      history.replaceState(null, '', this.path);
      return { url: this.socketUrl, ticket: answer.ticket };
    } catch (error) {
      throw new Error(error instanceof JoinError ? error.message : NO_GRANT);
    }
  }
}
