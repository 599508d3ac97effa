// The wire's constants for the pages, from the crate `protocol`; written by `cargo test -p protocol`.

/** Longest name in bytes of UTF-8; the server cuts what is longer. */
export const NAME_MAX_BYTES = 24;
/** Longest line of chat in bytes of UTF-8. */
export const CHAT_MAX_BYTES = 240;
/** The kinds of room by their words: each has its page in a folder, its crate in `wasm`, and a public room on every machine. */
export const KINDS = ['arena', 'lounge'] as const;
/** Examples for a test: instance, room, durable id. */
export const DURABLE_ID_EXAMPLES = [
  ['m1', 'arena', 'arena-m1'],
  ['m9', 'arena-m1', 'arena-m1'],
  ['m9', 'arena-p-abc', 'arena-p-abc'],
  ['m9', 'field-abc', 'field-abc'],
] as const;
/** Why the server closed a socket. */
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
  asleep: 4016,
} as const;
/** What a person is told, by close code; any other code is a lost connection. */
export const CLOSE_SENTENCES = {
  4000: 'This server is closing. You come along to the next one, as you are.',
  4001: 'This page and the room do not match, and loading it again did not help. Try again in a minute.',
  4004: 'Asking the lobby for a new place.',
  4005: 'This page sent more messages than the room allows. You can come back now.',
  4007: 'You are here in another window now.',
  4008: 'This room is full. Try again in a moment, or pick another one in the lobby.',
  4009: 'Too many people are here from your address. Close another window and try again.',
  4010: 'Something broke in this room. Coming back by itself.',
  4011: 'This room is too busy for more people right now. Try again in a minute.',
  4013: 'This room is on another server now. Following it.',
  4014: 'This room is gone. You can open a new one in the lobby.',
  4015: 'Your network opened many rooms just now. Try again in a minute.',
  4016: 'Nobody takes part here right now, so this room sleeps. You can look in again.',
} as const;
