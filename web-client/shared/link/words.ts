// What a person reads while the page reconnects, whatever kind of room it is. Why the server closed a socket it says itself.
import { CLOSE_SENTENCES } from '../generated/protocol';

export const WORDS = {
  /** By close code, where the server said why it ended the socket. */
  closed: CLOSE_SENTENCES as Readonly<Record<number, string>>,
  offline: 'You are offline. Reconnecting as soon as the network is back.',
  lost: 'Connection lost. Reconnecting by itself.',
  lookingForCause: 'Connection lost. Looking for the cause.',
  /** The room keeps moving while the page follows it. */
  betweenServers: 'This room is between two servers. Trying again in a few seconds.',
  /** The servers send the page to one another, and it stopped. */
  sentRound: 'The servers keep sending this page to one another, so it stopped. Try again in a minute, or pick another room in the lobby.',
  /** The server is silent, and the lobby is asked. */
  notAnswering: 'This server does not answer. Asking the lobby where the room is now.',
  /** The network lets no WebSockets through. */
  blocked: 'This network seems to block WebSockets, which every room needs. Try again, or use another network.',
  /** The page found no way in, and stopped trying. */
  gaveUp: 'This page found no way into the room, and stopped trying. Try again in a minute, or pick another room in the lobby.',
  /** The person left, and the page is still here. */
  left: 'You left this room.',
  /** The button that leads back in. */
  comeBack: 'Come back here',
  /** The button where only trying again may help. */
  tryAgain: 'Try again',
} as const;
