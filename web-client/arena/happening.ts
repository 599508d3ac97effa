// What happens besides frames: the JSON of `Client.poll_event()` as types.

export interface ChatLine {
  /** 0 for a line of the field itself. */
  pilot: number;
  name: string;
  text: string;
}

export interface Standing {
  rank: number;
  pilot: number;
  name: string;
  score: number;
}

export type Happening =
  | { type: 'welcome'; pilot: number; resumed: boolean; continues: boolean; name: string; hue: number; history: ChatLine[] }
  | ({ type: 'chat' } & ChatLine)
  | { type: 'kill'; killer: number; victim: number; killer_name: string; victim_name: string; rammed: boolean }
  | { type: 'joined'; pilot: number; name: string }
  | { type: 'left'; name: string }
  | { type: 'notice'; text: string }
  /** `level`: 0 is full service; `slow`: time runs slower for everybody. */
  | { type: 'service'; level: number; slow: boolean }
  | { type: 'refused'; code: number; sentence: string }
  | { type: 'bye'; code: number; sentence: string; retry: boolean }
  | { type: 'hit' | 'explosion' | 'shot'; pilot: number; x: number; y: number };

/** Link quality, as in `Client.stats()`. */
export interface LinkStats {
  rtt_ms: number;
  lead_ticks: number;
  interp_ticks: number;
  frames: number;
  mismatches: number;
  bytes_in: number;
  bytes_out: number;
  corrections: number;
}
