import { describe, expect, it } from 'vitest';
import { Diagnosis, SETTLE_MS, type Cause, type Measured } from './diagnosis';

const FINE: Measured = { silenceMs: 60, jitterMs: 3, tripMs: 40, frameMs: 17 };
const STEP_MS = 500;

/** A diagnosis of a page that has been flying for a minute without trouble. */
function settled(): { diagnosis: Diagnosis; run(seconds: number, measured?: Partial<Measured>): Cause[]; now(): number } {
  const diagnosis = new Diagnosis();
  let now = 1_000;
  diagnosis.startOver(now);
  const run = (seconds: number, measured: Partial<Measured> = {}): Cause[] => {
    const causes: Cause[] = [];
    for (const end = now + seconds * 1_000; now < end; now += STEP_MS) causes.push(diagnosis.judge({ ...FINE, ...measured }, now));
    return causes;
  };
  expect(new Set(run(60))).toEqual(new Set(['none']));
  return { diagnosis, run, now: () => now };
}

describe('diagnosis', () => {
  it('blames nobody before a page has settled', () => {
    const diagnosis = new Diagnosis();
    const awful: Measured = { silenceMs: 3_000, jitterMs: 200, tripMs: 900, frameMs: 200 };
    expect(diagnosis.judge(awful, 0)).toBe('none');
    diagnosis.startOver(0);
    expect(diagnosis.judge(awful, SETTLE_MS - 1)).toBe('none');
    expect(diagnosis.judge(awful, SETTLE_MS)).toBe('silence');
    expect(diagnosis.judge({ ...awful, silenceMs: 100 }, SETTLE_MS + 1_000)).toBe('network');
  });

  it('a silence is told at once, is the network\'s when nothing explains it, and is kept for three seconds', () => {
    const { run } = settled();
    expect(run(1.5, { silenceMs: 800 })).toEqual(Array(3).fill('silence'));
    expect(run(1)).toEqual(['silence', 'network']);
    expect(run(2.5)).toEqual(Array(5).fill('network'));
    expect(run(1)).toEqual(['none', 'none']);
  });

  it('a pause of the server is told instead of the network, for three seconds', () => {
    const { diagnosis, run, now } = settled();
    expect(run(1.5, { silenceMs: 800 })).toEqual(Array(3).fill('silence'));
    diagnosis.jump(-1_480, false, now());
    expect(diagnosis.pausedMs).toBe(1_480);
    expect(run(3)).toEqual(Array(6).fill('paused server'));
    expect(run(3)).toEqual(Array(6).fill('none'));
    diagnosis.jump(-80, false, now());
    expect(run(1)).toEqual(['none', 'none']);
  });

  it('a clock of this device that jumped takes the blame off everybody, and what was measured across it is forgotten', () => {
    const { diagnosis, run, now } = settled();
    run(0.5, { silenceMs: 800, tripMs: 2 });
    diagnosis.jump(4_000, true, now());
    expect(run(5, { tripMs: 180 })).toEqual(Array(10).fill('none'));
  });

  it('a silence while this page itself stood still is not the line\'s', () => {
    const { diagnosis, now } = settled();
    expect(diagnosis.judge({ ...FINE, silenceMs: 4_000 }, now() + 4_000)).toBe('none');
  });

  it('unevenness and a round trip that jumped must last a second', () => {
    for (const bad of [{ jitterMs: 80 }, { tripMs: 200 }]) {
      const { run } = settled();
      expect(run(2, bad)).toEqual(['none', 'none', 'network', 'network']);
      expect(run(0.5)).toEqual(['network']);
    }
  });

  it('does not flicker around a limit', () => {
    const { run } = settled();
    run(2, { jitterMs: 65 });
    for (let count = 0; count < 20; count += 1) expect(run(1, { jitterMs: count % 2 === 0 ? 40 : 65 })).not.toContain('none');
    const slow = settled();
    slow.run(4, { frameMs: 60 });
    for (let count = 0; count < 20; count += 1) expect(slow.run(1, { frameMs: count % 2 === 0 ? 45 : 52 })).not.toContain('none');
  });

  it('a long line is no trouble for good, and one short peak of pictures none at all', () => {
    const { run } = settled();
    expect(run(240, { tripMs: 200 }).at(-1)).toBe('none');
    expect(run(2, { frameMs: 90 })).not.toContain('device');
  });

  it('a slow device is told after three seconds, and takes no blame off the line', () => {
    const { run } = settled();
    expect(run(4, { frameMs: 60 })).toEqual([...Array(6).fill('none'), 'device', 'device']);
    // A busy page reads its messages late.
    expect(run(4, { frameMs: 90, jitterMs: 70, silenceMs: 400 })).not.toContain('network');
    expect(run(1, { frameMs: 90, silenceMs: 1_500 })).toEqual(['silence', 'silence']);
    expect(run(5, { frameMs: 60 }).slice(1, 3)).toEqual(['network', 'network']);
    expect(run(4, { frameMs: 60 }).at(-1)).toBe('device');
    expect(run(4).at(-1)).toBe('none');
  });

  it('the server is believed about itself, first of all when time runs slower', () => {
    const { diagnosis, run } = settled();
    diagnosis.serve({ level: 2, slow: false });
    expect(run(1)).toEqual(['busy server', 'busy server']);
    expect(run(4, { frameMs: 60 })).not.toContain('device');
    expect(run(1, { silenceMs: 900 })).toEqual(['silence', 'silence']);
    expect(run(1)).toEqual(['silence', 'network']);
    diagnosis.serve({ level: 4, slow: true });
    expect(run(1, { silenceMs: 900 })).toEqual(['slow server', 'slow server']);
    diagnosis.serve({ level: 0, slow: false });
    expect(run(5, { frameMs: 17 }).at(-1)).toBe('none');
  });

  it('starts over after the page was hidden or the line was lost', () => {
    const { diagnosis, run } = settled();
    run(1, { silenceMs: 2_000 });
    diagnosis.startOver(1_000_000);
    expect(diagnosis.judge(FINE, 1_000_000 + SETTLE_MS)).toBe('none');
  });
});
