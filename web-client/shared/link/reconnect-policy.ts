// Decides what to do when a socket is gone: a pure policy. Close codes are those of the wire format and never change meaning.

export const CLOSE = {
  serverStopping: 4000,
  versionMismatch: 4001,
  helloTimeout: 4002,
  badMessage: 4003,
  badTicket: 4004,
  tooFast: 4005,
  silent: 4006,
  replaced: 4007,
  roomFull: 4008,
  tooManyFromAddress: 4009,
  roomFailed: 4010,
  overloaded: 4011,
  tooSlow: 4012,
  moved: 4013,
  noSuchRoom: 4014,
  tooManyRooms: 4015,
} as const;
/** The browser's own, for a socket that ended without a word. */
export const LOST_CODE = 1006;

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 4_000;
const ASK_FIRST_MS = 2_000;
const ASK_MAX_MS = 12_000;
/** Half of a delay is drawn by lot, so that a room that restarts is not met by everybody at once. */
const JITTER = 0.5;
/** Losses in a row after which the server counts as gone. */
const GONE_AFTER_ATTEMPTS = 3;
/**
 * Sockets in a row that never opened, the last of them to a server that had just answered over plain HTTP. Policy: this
 * network lets no WebSockets through, and a person decides.
 */
const UNOPENED_MAX = 3;
/**
 * Sockets since the last welcome that opened and brought none. Such that fall silent last, together, longer than the 30 s
 * for which a lost server still counts as the owner of its rooms. Policy: a person decides.
 */
export const UNWELCOMED_MAX = 6;
/**
 * Waits before a page follows a room that has moved, for each time within a minute. Together they are longer than the
 * 30 s for which a lost server still counts as the owner of its rooms. Policy: who is sent on once more stays.
 */
const FOLLOW_DELAYS_MS = [250, 14_000, 17_000] as const;
/** Times a page follows a moved room within a minute. */
export const FOLLOWS_MAX = FOLLOW_DELAYS_MS.length;
/**
 * Refusals of the lobby in a row, and joins within a minute, by itself; with the waits between them longer than the 30 s
 * for which a lost server still counts as the owner of its rooms. Policy: a person decides.
 */
export const ASKS_MAX = 8;

/** What the button says that goes on where the page did not by itself. */
export type Again = 'Fly here again' | 'Try again';

export interface Stop {
  do: 'stop';
  sentence: string;
  again: Again;
}

export type NextStep =
  | { do: 'retry'; delayMs: number; sentence: string }
  /** Ask the lobby for a new ticket, then connect. */
  | { do: 'ticket'; delayMs: number; sentence: string }
  /** Ask the lobby where the room is now, then connect there as the same member. */
  | { do: 'relocate'; why: 'gone' | 'moved'; delayMs: number; sentence: string }
  /** Ask over plain HTTP whether the server is there: if so try once more, else relocate. */
  | { do: 'probe'; sentence: string }
  | { do: 'reload' }
  /** Not by itself; a button may. */
  | Stop;

export interface Situation {
  code: number;
  /** Losses since the connection was steady. */
  attempt: number;
  /** This page was reloaded for a newer version already. */
  hasReloaded: boolean;
  /** Nobody ended the socket: nothing came from it any more, or it did not open in time. */
  isSilent: boolean;
  /** Sockets in a row that never opened, this one included. */
  unopened: number;
  /** Sockets since the last welcome that opened and brought none, this one included. */
  unwelcomed: number;
  /** The server answered over plain HTTP just before this socket. */
  isReachable: boolean;
  isOnline: boolean;
  /** Times this tab followed a moved room within the last minute. */
  follows: number;
}

export const BLOCKED = 'This network seems to block WebSockets, which the game needs. Try again, or use another network.';
export const ASKED_ENOUGH = 'This page found no way onto the field, and stopped trying. Try again in a minute, or pick another field in the lobby.';
const SENT_ROUND = 'The servers keep sending this page to one another, so it stopped. Try again in a minute, or pick another field in the lobby.';

export function afterClose(situation: Situation, random: () => number = Math.random): NextStep {
  const delayMs = backoffMs(situation.attempt, random);
  switch (situation.code) {
    case CLOSE.versionMismatch:
      return situation.hasReloaded
        ? stop('This page and the field do not match. Go back to the lobby and pick a field again.')
        : { do: 'reload' };
    case CLOSE.badTicket:
      return { do: 'ticket', delayMs: situation.attempt === 0 ? 0 : delayMs, sentence: 'Asking the lobby for a new place.' };
    case CLOSE.replaced:
      return stop('You are flying in another window now.');
    case CLOSE.roomFull:
      return stop('This field is full. Try again in a moment, or pick another one in the lobby.');
    case CLOSE.overloaded:
      return stop('This field is too busy for more pilots right now. Try again in a minute.');
    case CLOSE.tooManyFromAddress:
      return stop('Too many pilots are flying from your address. Close another window and try again.');
    case CLOSE.tooFast:
      return stop('This page sent more messages than the field allows. You can come back now.');
    case CLOSE.serverStopping:
      return { do: 'relocate', why: 'gone', delayMs, sentence: 'This server is closing. Your plane comes along to the next one.' };
    case CLOSE.moved:
      return afterMove(situation.follows);
    case CLOSE.noSuchRoom:
      return stop('This field is gone. You can open a new one in the lobby.');
    case CLOSE.tooManyRooms:
      return stop('Your network opened many fields just now. Try again in a minute.');
    case CLOSE.roomFailed:
      return { do: 'retry', delayMs, sentence: 'Something broke on this field. Coming back by itself.' };
    default:
      return afterLoss(situation, delayMs);
  }
}

function afterMove(follows: number): NextStep {
  const delayMs = FOLLOW_DELAYS_MS[follows];
  if (delayMs === undefined) return stop(SENT_ROUND, 'Try again');
  const sentence = follows === 0 ? 'This field is on another server now. Following it.' : 'This field is between two servers. Trying again in a few seconds.';
  return { do: 'relocate', why: 'moved', delayMs, sentence };
}

/** Nobody said why. */
function afterLoss({ attempt, isSilent, unopened, unwelcomed, isReachable, isOnline }: Situation, delayMs: number): NextStep {
  if (!isOnline) return { do: 'retry', delayMs, sentence: 'You are offline. Reconnecting as soon as the network is back.' };
  if (unwelcomed >= UNWELCOMED_MAX) return stop(ASKED_ENOUGH, 'Try again');
  if (isReachable && unopened >= UNOPENED_MAX) return stop(BLOCKED, 'Try again');
  if (!isReachable && unopened >= UNOPENED_MAX - 1) return { do: 'probe', sentence: 'Connection lost. Looking for the cause.' };
  // A socket to a server that stands still opens and answers as little as the one before: only the lobby knows more.
  return isSilent || attempt >= GONE_AFTER_ATTEMPTS
    ? { do: 'relocate', why: 'gone', delayMs, sentence: 'This server does not answer. Asking the lobby where the field is now.' }
    : { do: 'retry', delayMs, sentence: 'Connection lost. Reconnecting by itself.' };
}

function stop(sentence: string, again: Again = 'Fly here again'): Stop {
  return { do: 'stop', sentence, again };
}

/** 0.25, 0.5, 1, 2, 4, 4 … seconds, each between half and all of it. */
export function backoffMs(attempt: number, random: () => number): number {
  return drawn(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt), random);
}

/** Until the lobby is asked again after so many refusals in a row: 2, 4, 8, 12, 12 … seconds, likewise. */
export function askDelayMs(refusals: number, random: () => number = Math.random): number {
  return drawn(Math.min(ASK_MAX_MS, ASK_FIRST_MS * 2 ** Math.max(0, refusals - 1)), random);
}

function drawn(fullMs: number, random: () => number): number {
  return Math.round(fullMs * (1 - JITTER + JITTER * random()));
}
