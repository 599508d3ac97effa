import { describe, expect, it } from 'vitest';
import { crowds } from './minimap';

/** Densities of a map with `side` sectors a side, 0 but for those given. */
function map(side: number, set: Readonly<Record<string, number>>): Uint8Array {
  const densities = new Uint8Array(side * side);
  for (const [at, density] of Object.entries(set)) {
    const [x = 0, y = 0] = at.split(',').map(Number);
    densities[y * side + x] = density;
  }
  return densities;
}

describe('crowds', () => {
  it('a sector is a cell on a small field', () => {
    expect(crowds(map(10, { '6,5': 3, '9,9': 1 }), 10)).toEqual([
      { x: 6, y: 5, width: 1, height: 1, density: 3 },
      { x: 9, y: 9, width: 1, height: 1, density: 1 },
    ]);
  });

  it('a sector is several cells on a large one, cut off at the edge', () => {
    expect(crowds(map(15, { '1,2': 2, '14,0': 1, '14,14': 3 }), 71)).toEqual([
      { x: 70, y: 0, width: 1, height: 5, density: 1 },
      { x: 5, y: 10, width: 5, height: 5, density: 2 },
      { x: 70, y: 70, width: 1, height: 1, density: 3 },
    ]);
  });

  it.each([
    [3, 3],
    [16, 16],
    [17, 9],
    [33, 11],
    [100, 15],
    [128, 16],
  ])('covers a field of %i cells with %i sectors a side exactly', (cells, side) => {
    const area = crowds(new Uint8Array(side * side).fill(1), cells).reduce((sum, { width, height }) => sum + width * height, 0);
    expect(area).toBe(cells * cells);
  });

  it('draws nothing before anything is known', () => {
    expect(crowds(new Uint8Array(0), 10)).toEqual([]);
  });
});
