/** Ticks a second; a test of the crate `arena` compares it. */
export const TICK_HZ = 60;
