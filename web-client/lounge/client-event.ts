// What the lounge's client can do, and what it tells: the JSON of `Client.poll_event()` as types.
import type { SessionEvent } from '../shared/session';
import type { RoomClient } from '../shared/visit';

export type ClientEvent = SessionEvent | { type: 'people'; count: number };

export interface LoungeClient extends RoomClient {
  /** Says a line; the id by which events tell what became of it. */
  say(text: string): number;
  poll_event(): string | undefined;
  name_of(member: number): string | undefined;
  hue_of(member: number): number;
}
