// What a person in the arena reads while the page reconnects. Why the server closed a socket it says itself.
import { CLOSE_SENTENCES } from '../shared/generated/protocol';
import type { ReconnectWords } from '../shared/link/reconnect-policy';

export const WORDS: ReconnectWords = {
  closed: CLOSE_SENTENCES,
  betweenServers: 'This field is between two servers. Trying again in a few seconds.',
  sentRound: 'The servers keep sending this page to one another, so it stopped. Try again in a minute, or pick another field in the lobby.',
  notAnswering: 'This server does not answer. Asking the lobby where the field is now.',
  blocked: 'This network seems to block WebSockets, which the game needs. Try again, or use another network.',
  gaveUp: 'This page found no way onto the field, and stopped trying. Try again in a minute, or pick another field in the lobby.',
  left: 'You left this field.',
  comeBack: 'Fly here again',
};
