import { describe, expect, it } from 'vitest';
import { BACKLOG_MAX_MESSAGES, DelayedQueue, type NetworkConditions } from './delayed-queue';

const NOTHING: NetworkConditions = { latencyMs: 0, jitterMs: 0, bytesPerSecond: 0 };

/** A generator with a memory, so that a failure repeats. */
function lot(): () => number {
  let state = 7;
  return () => {
    state = (state * 16_807) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Sends a message every `every` ms for a second; when each arrives, at a reading once a millisecond. */
function arrivals(queue: DelayedQueue<number>, every: number, bytes = 10, meanwhile: (now: number) => void = () => undefined): number[] {
  const at: number[] = [];
  for (let now = 0; now < 10_000; now += 1) {
    meanwhile(now);
    if (now < 1_000 && now % every === 0) queue.push(now / every, bytes, now);
    for (let item = queue.poll(now); item !== undefined; item = queue.poll(now)) {
      expect(item).toBe(at.length);
      at.push(now);
    }
  }
  return at;
}

describe('queue', () => {
  it('is open while no condition is set, and not before the last message is out', () => {
    const conditions = { ...NOTHING, latencyMs: 20 };
    const queue = new DelayedQueue<number>(conditions);
    expect(queue.isOpen(0)).toBe(false);
    queue.push(1, 10, 0);
    conditions.latencyMs = 0;
    expect(queue.isOpen(5)).toBe(false);
    expect(queue.poll(19)).toBeUndefined();
    expect(queue.poll(20)).toBe(1);
    expect(queue.isOpen(20)).toBe(true);
  });

  it('delays everything by the latency', () => {
    expect(arrivals(new DelayedQueue({ ...NOTHING, latencyMs: 75 }), 50)).toEqual(Array.from({ length: 20 }, (_, index) => index * 50 + 75));
  });

  it('jitter is bounded, uneven, and overtakes nothing', () => {
    const at = arrivals(new DelayedQueue({ ...NOTHING, latencyMs: 30, jitterMs: 50 }, lot()), 10);
    expect(at).toHaveLength(100);
    const late = at.map((now, index) => now - index * 10 - 30);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    // Rounded up to the reading.
    expect(Math.max(...late)).toBeLessThanOrEqual(51);
    expect(new Set(late).size).toBeGreaterThan(10);
  });

  it('lets through as many bytes a second as it has room for, and keeps the rest', () => {
    const at = arrivals(new DelayedQueue({ ...NOTHING, bytesPerSecond: 2_000 }), 10, 100);
    expect(at).toHaveLength(100);
    expect(at.at(-1)).toBe(100 * 50);
    expect(at.slice(1).every((now, index) => now - (at[index] as number) === 50)).toBe(true);
  });

  it('a stall holds everything back and loses nothing', () => {
    const queue = new DelayedQueue<number>(NOTHING);
    const at = arrivals(queue, 50, 10, (now) => {
      if (now === 200) queue.stall(300, now);
    });
    expect(at).toHaveLength(20);
    expect(at.filter((now) => now >= 200 && now < 500)).toEqual([]);
    expect(at.filter((now) => now === 500)).toHaveLength(7);
    expect(at.at(-1)).toBe(950);
  });

  it('says when to look again', () => {
    const queue = new DelayedQueue<number>({ ...NOTHING, latencyMs: 40 });
    expect(queue.nextAt).toBe(Number.POSITIVE_INFINITY);
    queue.push(1, 10, 100);
    expect(queue.nextAt).toBe(140);
    queue.stall(500, 110);
    expect(queue.nextAt).toBe(610);
  });

  it('says when too much is under way, and forgets it with the socket', () => {
    const queue = new DelayedQueue<number>({ ...NOTHING, latencyMs: 300 });
    for (let count = 0; count < BACKLOG_MAX_MESSAGES; count += 1) queue.push(count, 1, 0);
    expect(queue.isFull).toBe(true);
    queue.clear();
    expect(queue.isFull).toBe(false);
    expect(queue.poll(1_000)).toBeUndefined();
  });
});
