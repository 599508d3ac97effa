// Events of the client besides frames: the JSON of `Client.poll_event()` as types.
import type { SessionEvent } from '../shared/session';

export interface Standing {
  rank: number;
  pilot: number;
  name: string;
  score: number;
}

/** A member of the arena is a pilot. */
export type ClientEvent =
  | SessionEvent
  | { type: 'kill'; killer: number; victim: number; killer_name: string; victim_name: string; rammed: boolean; behind_ms: number }
  /** By so much the room is ahead of where it was taken to be; less than 0: it paused, unless this device's own clock jumped. */
  | { type: 'jump'; ms: number; own: boolean }
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
  bytes_in: number;
  bytes_out: number;
  corrections: number;
  /** How far off the own plane was the last time, plane lengths. */
  correction_lengths: number;
  /** Packets of inputs that missed their tick. */
  late_packets: number;
  /** Own shots that hit on this screen, those of them that the room confirmed, and hits that this screen did not show. */
  shots_met: number;
  shots_confirmed: number;
  shots_unseen: number;
}
