// What to do when a socket is gone: a pure policy. Close codes are those of the wire format and never change meaning.

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

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 4_000;
/** Half of a delay is drawn by lot, so that a field that restarts is not met by everybody at once. */
const JITTER = 0.5;
/** Losses in a row after which the server counts as gone. */
const GONE_AFTER_ATTEMPTS = 3;
/** Times the lobby is asked where the field is now, about half a minute. Then a person decides. */
export const SEEKS_MAX = 10;

export type NextStep =
  | { do: 'retry'; delayMs: number; sentence: string }
  /** Ask the lobby for a new ticket, then connect. */
  | { do: 'ticket'; delayMs: number; sentence: string }
  /** Ask the lobby where the field is now, then connect there as who one was. */
  | { do: 'seek'; why: 'gone' | 'moved'; delayMs: number; sentence: string }
  | { do: 'reload' }
  /** Not by itself; a button may. */
  | { do: 'stop'; sentence: string };

export interface Situation {
  code: number;
  /** The server's own words, if it sent any. */
  reason: string;
  /** Failed attempts since the last welcome. */
  attempt: number;
  /** This page was reloaded for a newer version already. */
  hasReloaded: boolean;
}

export function afterClose(situation: Situation, random: () => number = Math.random): NextStep {
  const delayMs = backoffMs(situation.attempt, random);
  switch (situation.code) {
    case CLOSE.versionMismatch:
      return situation.hasReloaded
        ? { do: 'stop', sentence: 'This page and the field do not match. Go back to the lobby and pick a field again.' }
        : { do: 'reload' };
    case CLOSE.badTicket:
      return { do: 'ticket', delayMs: situation.attempt === 0 ? 0 : delayMs, sentence: 'Asking the lobby for a new place.' };
    case CLOSE.replaced:
      return { do: 'stop', sentence: 'You are flying in another window now.' };
    case CLOSE.roomFull:
      return { do: 'stop', sentence: 'This field is full. Try again in a moment, or pick another one in the lobby.' };
    case CLOSE.overloaded:
      return { do: 'stop', sentence: 'This field is too busy for more pilots right now. Try again in a minute.' };
    case CLOSE.tooManyFromAddress:
      return { do: 'stop', sentence: 'Too many pilots are flying from your address. Close another window and try again.' };
    case CLOSE.tooFast:
      return { do: 'stop', sentence: 'This page sent more messages than the field allows. You can come back now.' };
    case CLOSE.serverStopping:
      return { do: 'seek', why: 'gone', delayMs, sentence: 'This server is closing. Your plane comes along to the next one.' };
    case CLOSE.moved:
      return { do: 'seek', why: 'moved', delayMs, sentence: 'This field is on another server now. Following it.' };
    case CLOSE.noSuchRoom:
      return { do: 'stop', sentence: 'This field is gone. You can open a new one in the lobby.' };
    case CLOSE.tooManyRooms:
      return { do: 'stop', sentence: 'Your network opened many fields just now. Try again in a minute.' };
    case CLOSE.roomFailed:
      return { do: 'retry', delayMs, sentence: 'Something broke on this field. Coming back by itself.' };
    default:
      return situation.attempt < GONE_AFTER_ATTEMPTS
        ? { do: 'retry', delayMs, sentence: 'Connection lost. Reconnecting by itself.' }
        : { do: 'seek', why: 'gone', delayMs, sentence: 'This server does not answer. Asking the lobby where the field is now.' };
  }
}

/** 0.25, 0.5, 1, 2, 4, 4 … seconds, each between half and all of it. */
export function backoffMs(attempt: number, random: () => number): number {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt);
  return Math.round(full * (1 - JITTER + JITTER * random()));
}
