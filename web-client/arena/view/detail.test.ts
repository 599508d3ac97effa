import { describe, expect, it } from 'vitest';
import { Detail } from './detail';

function run(detail: Detail, frameMs: number, seconds: number): number {
  let changes = 0;
  for (let ms = 0; ms < seconds * 1000; ms += frameMs) changes += Number(detail.tick(frameMs));
  return changes;
}

describe('detail', () => {
  it('stays full on a machine that keeps up', () => {
    const detail = new Detail();
    expect(run(detail, 16, 60)).toBe(0);
    expect(detail.level).toEqual({ resolution: 1, clouds: true });
  });

  it('goes down step by step when it stutters, and all the way when it crawls', () => {
    const stutters = new Detail();
    run(stutters, 45, 3);
    expect(stutters.level).toEqual({ resolution: 1, clouds: false });
    const crawls = new Detail();
    run(crawls, 100, 3);
    expect(crawls.level.clouds).toBe(false);
    expect(crawls.level.resolution).toBeLessThan(0.7);
  });

  it('comes back after a long calm, each time more slowly', () => {
    const detail = new Detail();
    run(detail, 45, 3);
    expect(run(detail, 16, 10)).toBe(0);
    expect(run(detail, 16, 8)).toBe(1);
    run(detail, 45, 3);
    expect(run(detail, 16, 18)).toBe(0);
  });
});
