// Decides what to do when a socket is gone: a pure policy over codes and counts.
import { CLOSE } from '../generated/protocol';
import { WORDS } from './words';

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

/**
 * Messages in a row that one end or the other did not understand, with no steady connection between them. Policy: page and
 * server are of different versions, as if one had said so.
 */
export const MISUNDERSTOOD_MAX = 2;

export interface Stop {
  do: 'stop';
  sentence: string;
  /** What the button says that goes on where the page did not by itself. */
  again: string;
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
  /** This page was reloaded for a newer version, and no connection was steady since. */
  hasReloaded: boolean;
  /** Sockets that ended because a message was not understood, this one included, since a connection was steady. */
  misunderstood: number;
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

export function afterClose(situation: Situation, random: () => number = Math.random): NextStep {
  const { code, attempt } = situation;
  const delayMs = backoffMs(attempt, random);
  const sentence = WORDS.closed[code] ?? '';
  switch (code) {
    case CLOSE.versionMismatch:
      return afterMismatch(situation);
    case CLOSE.badMessage:
      return situation.misunderstood >= MISUNDERSTOOD_MAX ? afterMismatch(situation) : afterLoss(situation, delayMs);
    case CLOSE.badTicket:
      return { do: 'ticket', delayMs: attempt === 0 ? 0 : delayMs, sentence };
    case CLOSE.serverStopping:
      return { do: 'relocate', why: 'gone', delayMs, sentence };
    case CLOSE.moved:
      return afterMove(situation.follows);
    case CLOSE.roomFailed:
      return { do: 'retry', delayMs, sentence };
    case CLOSE.replaced:
    case CLOSE.roomFull:
    case CLOSE.overloaded:
    case CLOSE.tooManyFromAddress:
    case CLOSE.tooFast:
    case CLOSE.noSuchRoom:
    case CLOSE.tooManyRooms:
    case CLOSE.asleep:
      return stop(sentence, WORDS.comeBack);
    default:
      return afterLoss(situation, delayMs);
  }
}

/** Only a newer page helps; if it did not, a person may try later. */
function afterMismatch({ hasReloaded }: Situation): NextStep {
  return hasReloaded ? stop(WORDS.closed[CLOSE.versionMismatch] ?? '', WORDS.tryAgain) : { do: 'reload' };
}

function afterMove(follows: number): NextStep {
  const delayMs = FOLLOW_DELAYS_MS[follows];
  if (delayMs === undefined) return stop(WORDS.sentRound, WORDS.tryAgain);
  const sentence = follows === 0 ? (WORDS.closed[CLOSE.moved] ?? '') : WORDS.betweenServers;
  return { do: 'relocate', why: 'moved', delayMs, sentence };
}

/** Nobody said why. */
function afterLoss({ attempt, isSilent, unopened, unwelcomed, isReachable, isOnline }: Situation, delayMs: number): NextStep {
  if (!isOnline) return { do: 'retry', delayMs, sentence: WORDS.offline };
  if (unwelcomed >= UNWELCOMED_MAX) return stop(WORDS.gaveUp, WORDS.tryAgain);
  if (isReachable && unopened >= UNOPENED_MAX) return stop(WORDS.blocked, WORDS.tryAgain);
  if (!isReachable && unopened >= UNOPENED_MAX - 1) return { do: 'probe', sentence: WORDS.lookingForCause };
  // A socket to a server that stands still opens and answers as little as the one before: only the lobby knows more.
  return isSilent || attempt >= GONE_AFTER_ATTEMPTS
    ? { do: 'relocate', why: 'gone', delayMs, sentence: WORDS.notAnswering }
    : { do: 'retry', delayMs, sentence: WORDS.lost };
}

function stop(sentence: string, again: string): Stop {
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
