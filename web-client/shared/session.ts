// What a session tells its page, whatever kind of room it is in; a kind adds events of its own (`arena/client-event.ts`).

export interface ChatLine {
  /** Who said it; 0 for a line of the room itself. */
  member: number;
  name: string;
  text: string;
}

export type SessionEvent =
  /** `resumed`: as the same member as before; `continues`: what is shown still holds, and the history is empty. */
  | { type: 'welcome'; member: number; resumed: boolean; continues: boolean; name: string; hue: number; history: ChatLine[] }
  | ({ type: 'chat' } & ChatLine)
  /** Somebody came, or changed name or hue. */
  | { type: 'joined'; member: number; name: string }
  | { type: 'left'; member: number; name: string }
  | { type: 'notice'; text: string }
  /** `level`: 0 is full service; `slow`: time runs slower for everybody. */
  | { type: 'service'; level: number; slow: boolean }
  /** The room says goodbye; the socket ends with the same close code. */
  | { type: 'ended'; code: number };
