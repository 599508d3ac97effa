import { describe, expect, it } from 'vitest';
import { FrameTimes, KEPT_COUNT } from './frame-times';

describe('frame times', () => {
  it('knows nothing before the first picture', () => {
    const times = new FrameTimes();
    expect([times.count, times.at(0), times.within(0.95)]).toEqual([0, 0, 0]);
  });

  it('tells the newest first, and shares from few pictures on', () => {
    const times = new FrameTimes();
    for (const ms of [10, 30, 20]) times.push(ms);
    expect([times.at(0), times.at(1), times.at(2), times.at(3)]).toEqual([20, 30, 10, 0]);
    expect([times.within(0), times.within(0.5), times.within(0.95), times.within(1)]).toEqual([10, 20, 30, 30]);
  });

  it('forgets the oldest when the ring is full', () => {
    const times = new FrameTimes();
    for (let ms = 1; ms <= KEPT_COUNT + 10; ms += 1) times.push(ms);
    expect(times.count).toBe(KEPT_COUNT);
    expect(times.at(0)).toBe(KEPT_COUNT + 10);
    expect(times.within(0)).toBe(11);
    expect(times.within(0.5)).toBe(10 + KEPT_COUNT / 2);
    times.clear();
    expect([times.count, times.at(0), times.within(1)]).toEqual([0, 0, 0]);
  });
});
