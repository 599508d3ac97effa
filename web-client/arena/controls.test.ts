import { describe, expect, it } from 'vitest';
import { actionOf, angleTo, STEER_MAX, steerOf, throttleOf } from './controls';

describe('controls', () => {
  it('understands letters by place and arrows', () => {
    expect(actionOf('KeyA')).toBe('left');
    expect(actionOf('ArrowRight')).toBe('right');
    expect(actionOf('Space')).toBe('fire');
    expect(actionOf('KeyQ')).toBeUndefined();
  });

  it('turns gently at a tap and hard when held', () => {
    expect(Math.abs(steerOf(true, false, 0))).toBeLessThan(STEER_MAX);
    expect(steerOf(true, false, 500)).toBe(-STEER_MAX);
    expect(steerOf(false, true, 500)).toBe(STEER_MAX);
    expect(steerOf(true, true, 500)).toBe(0);
  });

  it('cruises unless told otherwise', () => {
    expect(throttleOf(false, false)).toBe(1);
    expect(throttleOf(true, false)).toBe(2);
    expect(throttleOf(false, true)).toBe(0);
  });

  it('keeps straight while the pointer rests on the plane', () => {
    expect(angleTo(3, 4, 10)).toBeUndefined();
    expect(angleTo(0, 20, 10)).toBeCloseTo(Math.PI / 2);
  });
});
