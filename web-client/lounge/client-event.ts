// What the lounge's client can do, and what it tells: the JSON of `Client.poll_event()` as types.
import type { ChatLine, SessionEvent } from '../shared/session';
import type { RoomClient } from '../shared/visit';

/** What somebody said. */
export interface Line extends ChatLine {
  /** Its place in the room's log; ascending. */
  number: number;
  /** When it was said, seconds since 1970. */
  at_s: number;
}

export type ClientEvent =
  | Exclude<SessionEvent, { type: 'welcome' | 'chat' }>
  | (Extract<SessionEvent, { type: 'welcome' }> & { history: Line[] })
  | ({ type: 'chat' } & Line)
  /** The room took what was said here under this number; `entry` is its place in the log. */
  | { type: 'taken'; operation: number; entry: number }
  | { type: 'declined'; operation: number; sentence: string }
  /** Every entry up to this number outlives the server. */
  | { type: 'kept'; entry: number }
  | { type: 'people'; count: number };

export interface LoungeClient extends RoomClient {
  /** Says a line; the number under which the room answers. */
  say(text: string): number;
  poll_event(): string | undefined;
  name_of(member: number): string | undefined;
  hue_of(member: number): number;
}
