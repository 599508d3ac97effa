import { describe, expect, it } from 'vitest';
import { BULLET_FLOATS, createFrame, HEADER_FLOATS, PLANE_FLOATS, readFrame } from './frame';

function view(planes: number[][], bullets: number[][], header: Partial<Record<number, number>> = {}): Float32Array {
  const floats = new Float32Array(HEADER_FLOATS + planes.length * PLANE_FLOATS + bullets.length * BULLET_FLOATS);
  floats[0] = planes.length;
  floats[1] = bullets.length;
  floats[4] = -1;
  for (const [index, value] of Object.entries(header)) floats[Number(index)] = value ?? 0;
  planes.forEach((plane, index) => floats.set(plane, HEADER_FLOATS + index * PLANE_FLOATS));
  bullets.forEach((bullet, index) => floats.set(bullet, HEADER_FLOATS + planes.length * PLANE_FLOATS + index * BULLET_FLOATS));
  return floats;
}

describe('readFrame', () => {
  it('reads planes, their flags and the own one', () => {
    const frame = createFrame();
    readFrame(view([[7, 1, 2, 0.5, 9, 0.75, 2 + 8 + 16, 3, -1, 2, 1], [8, 3, 4, 0, 7, 1, 1 + 4, 5, 0, 1, 0.5]], [], { 4: 1, 8: 42 }), 100, frame);
    expect(frame.planeCount).toBe(2);
    expect(frame.planes[0]).toMatchObject({ id: 7, x: 1, y: 2, heading: 0.5, health: 0.75, isOwn: false, isBoosting: true, isFiring: false, isShielded: true, isRammed: true, hue: 3, steer: -1 });
    expect(frame.own).toMatchObject({ id: 8, isOwn: true, isFiring: true, opacity: 0.5 });
    expect(frame.score).toBe(42);
  });

  it('reads bullets behind the planes', () => {
    const frame = createFrame();
    readFrame(view([[7]], [[1, 5, 6, 0.25, 1, 0.5]]), 0, frame);
    expect(frame.bullets[0]).toEqual({ id: 1, x: 5, y: 6, heading: 0.25, isOwn: true, age: 0.5 });
    expect(frame.own).toBeUndefined();
  });

  it('reuses its objects, so that steady play makes no garbage', () => {
    const frame = createFrame();
    readFrame(view([[7], [8]], []), 0, frame);
    const [first] = frame.planes;
    readFrame(view([[9]], []), 16, frame);
    expect(frame.planes[0]).toBe(first);
    expect(frame.planeCount).toBe(1);
    expect(frame.deltaMs).toBe(16);
  });

  it('believes no count that the array does not hold', () => {
    const frame = createFrame();
    readFrame(view([[7]], [], { 0: 5000, 1: 5000 }), 0, frame);
    expect(frame.planeCount).toBe(1);
    expect(frame.bulletCount).toBe(0);
  });

  it('counts a long pause as a short frame', () => {
    const frame = createFrame();
    readFrame(view([], []), 60_000, frame);
    expect(frame.deltaMs).toBe(100);
  });
});
