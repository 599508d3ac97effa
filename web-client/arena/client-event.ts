// Events of the client besides frames: the JSON of `Client.poll_event()` as types.

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

export type ClientEvent =
  | { type: 'welcome'; pilot: number; resumed: boolean; continues: boolean; name: string; hue: number; history: ChatLine[] }
  | ({ type: 'chat' } & ChatLine)
  | { type: 'kill'; killer: number; victim: number; killer_name: string; victim_name: string; rammed: boolean; behind_ms: number }
  | { type: 'joined'; pilot: number; name: string }
  | { type: 'left'; name: string }
  | { type: 'notice'; text: string }
  /** `level`: 0 is full service; `slow`: time runs slower for everybody. */
  | { type: 'service'; level: number; slow: boolean }
  /** By so much the field is ahead of where it was taken to be; less than 0: it paused, unless this device's own clock jumped. */
  | { type: 'jump'; ms: number; own: boolean }
  | { type: 'refused'; code: number; sentence: string }
  | { type: 'bye'; code: number; sentence: string; retry: boolean }
  | { type: 'hit' | 'explosion' | 'shot'; pilot: number; x: number; y: number };

/** Link quality, as in `Client.stats()`. */
export interface LinkStats {
  rtt_ms: number;
  /** Within this of the soonest, 95 % of the room's frames come. */
  jitter_ms: number;
  /** How early the last inputs came: the depth of the room's buffer. */
  lead_ticks: number;
  /** How far the own plane is shown ahead of the newest frame. */
  ahead_ticks: number;
  /** How far others are shown behind it. */
  interp_ticks: number;
  frames: number;
  mismatches: number;
  bytes_in: number;
  bytes_out: number;
  corrections: number;
  /** Of those, with no late input and no contact to explain them. */
  corrections_unexplained: number;
  /** How far off the own plane was the last time, plane lengths. */
  correction_lengths: number;
  /** Packets of inputs that missed their tick. */
  late_packets: number;
  /** Own shots that hit on this screen, those of them that the room confirmed, and hits that this screen did not show. */
  shots_met: number;
  shots_confirmed: number;
  shots_unseen: number;
}
