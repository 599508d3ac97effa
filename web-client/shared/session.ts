// What a session tells its page, whatever kind of room it is in; a kind adds events of its own (`arena/client-event.ts`).

/** The role of whoever only looks on. */
export const READER = 'reader';

export interface ChatLine {
  /** Its place in the room's log, ascending; 0 for a line that is in no log. */
  entry: number;
  /** Who said it; 0 for a line of the room itself. */
  member: number;
  name: string;
  text: string;
  /** When, in seconds since 1970. */
  at_s: number;
}

export type SessionEvent =
  /** `role`: what we may do, `READER` least of all; `resumed`: as the same member as before; `continues`: what is shown still holds, and the history is empty. */
  | { type: 'welcome'; member: number; resumed: boolean; continues: boolean; role: string; name: string; hue: number; history: ChatLine[] }
  | ({ type: 'chat' } & ChatLine)
  /** Somebody came, or changed name or hue. */
  | { type: 'joined'; member: number; name: string }
  | { type: 'left'; member: number; name: string }
  /** Every entry of the log up to this one outlives the server. */
  | { type: 'kept'; entry: number }
  /** What this page asked for under this id was done, as this entry of the log; 0: none, or nobody knows which. */
  | { type: 'taken'; id: number; entry: number }
  /** It was not done, and will not be: why. */
  | { type: 'declined'; id: number; text: string }
  | { type: 'notice'; text: string }
  /** `level`: 0 is full service; `slow`: time runs slower for everybody. */
  | { type: 'service'; level: number; slow: boolean }
  /** The room says goodbye; the socket ends with the same close code. */
  | { type: 'ended'; code: number };
