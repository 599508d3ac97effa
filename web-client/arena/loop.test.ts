import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run, type FrameSteps } from './loop';

const TICK_MS = 1000 / 60;

describe('input sent without a frame', () => {
  let order: string[];
  let at: number[];

  beforeEach(() => {
    order = [];
    at = [];
    // A hidden page: the callback never comes.
    vi.stubGlobal('requestAnimationFrame', () => 0);
    vi.stubGlobal('document', new EventTarget());
  });

  afterEach(() => vi.unstubAllGlobals());

  it('steers and sends at once and again in the next tick, without a picture', async () => {
    const unexpected = (): void => void order.push('picture');
    const steps: FrameSteps = {
      steer: () => void order.push('steer'),
      flush: () => {
        order.push('flush');
        at.push(performance.now());
      },
      view: unexpected, events: unexpected, draw: unexpected, afterDraw: unexpected,
    };
    const { sendInput } = run(steps);
    expect(order).toEqual([]);
    sendInput();
    expect(order).toEqual(['steer', 'flush']);
    await vi.waitFor(() => expect((at.at(-1) as number) - (at[0] as number)).toBeGreaterThan(TICK_MS));
    expect(order).not.toContain('picture');
    await new Promise((resolve) => setTimeout(resolve, 2 * TICK_MS));
    const count = order.length;
    await new Promise((resolve) => setTimeout(resolve, 2 * TICK_MS));
    expect(order.length, 'it ends').toBe(count);
  });
});
