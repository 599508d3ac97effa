// The landscape as shapes: a patchwork of fields, a river, woods, villages and the aerodrome in the middle.
//
// Planned once from a fixed seed, in plane lengths, each shape with the box it touches; `land.ts` paints what a tile needs.
import { aerodrome, roof } from './land-buildings';
import { seeded, type Brush } from './paper';

export interface Shape {
  left: number;
  top: number;
  right: number;
  bottom: number;
  paint(brush: Brush): void;
}

interface Point {
  x: number;
  y: number;
}

type Random = () => number;

/** The land goes on beyond the border as far as a camera can see. */
export const MARGIN_LENGTHS = 20;
const SEED = 20_40;
const DISTRICT_LENGTHS = 9;
const FIELD_TONES = ['#1c3341', '#20394a', '#1f3b45', '#264349', '#213f3f', '#2b4846', '#2d4049', '#33483f', '#26384a'] as const;
const HEDGE = '#162935';
const FURROW = '#f2ebdd0e';
const ORCHARD = '#182d33';
const WATER = '#2f6074';
const BANK = '#254a58';
const RIPPLE = '#78a9b533';
const ROAD = '#3b5562';

/** All shapes, in the order of painting, for a field of this side. */
export function planLand(side: number): Shape[] {
  const random = seeded(SEED);
  const river = riverCourse(side, random);
  const isWet = (x: number, y: number, room: number): boolean => river.some((point) => Math.hypot(point.x - x, point.y - y) < room);
  const middle = side / 2;
  const isFree = (x: number, y: number): boolean =>
    !isWet(x, y, 2.6) && Math.hypot((x - middle) / 13, (y - middle) / 9) > 1;
  return [
    ...fields(side, random),
    ...roads(side, random),
    water(river),
    ...woods(side, random, isFree),
    ...villages(side, random, isFree),
    shape([{ x: middle - 14, y: middle - 10 }, { x: middle + 14, y: middle + 10 }], 0, (brush) => aerodrome(brush, middle, middle)),
  ];
}

function shape(points: readonly Point[], pad: number, paint: (brush: Brush) => void): Shape {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  return { left: Math.min(...xs) - pad, top: Math.min(...ys) - pad, right: Math.max(...xs) + pad, bottom: Math.max(...ys) + pad, paint };
}

function trace(brush: Brush, points: readonly Point[]): void {
  brush.beginPath();
  points.forEach((point, index) => (index === 0 ? brush.moveTo(point.x, point.y) : brush.lineTo(point.x, point.y)));
}

/** Smooth through the middles of the points' legs. */
function flow(brush: Brush, points: readonly Point[]): void {
  brush.beginPath();
  points.forEach((point, index) => {
    const next = points[index + 1];
    if (index === 0) brush.moveTo(point.x, point.y);
    else if (next === undefined) brush.lineTo(point.x, point.y);
    else brush.quadraticCurveTo(point.x, point.y, (point.x + next.x) / 2, (point.y + next.y) / 2);
  });
}

function mix(a: Point, b: Point, t: number): Point {
  return { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t };
}

/** Jittered districts, each cut into strips of its own direction: what a countryside looks like from a plane. */
function fields(side: number, random: Random): Shape[] {
  const count = Math.ceil((side + 2 * MARGIN_LENGTHS) / DISTRICT_LENGTHS) + 1;
  const corners: Point[][] = Array.from({ length: count + 1 }, (_, row) =>
    Array.from({ length: count + 1 }, (_unused, column) => ({
      x: -MARGIN_LENGTHS + (column + (random() - 0.5) * 0.62) * DISTRICT_LENGTHS,
      y: -MARGIN_LENGTHS + (row + (random() - 0.5) * 0.62) * DISTRICT_LENGTHS,
    })),
  );
  const shapes: Shape[] = [];
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      const [a, b, c, d] = [corners[row]?.[column], corners[row]?.[column + 1], corners[row + 1]?.[column + 1], corners[row + 1]?.[column]];
      if (a && b && c && d) shapes.push(...(random() < 0.5 ? district(a, b, c, d, random) : district(b, c, d, a, random)));
    }
  }
  return shapes;
}

function district(a: Point, b: Point, c: Point, d: Point, random: Random): Shape[] {
  const strips = 2 + Math.floor(random() * 4);
  const shapes: Shape[] = [];
  let last = -1;
  for (let strip = 0; strip < strips; strip += 1) {
    const from = strip / strips;
    const to = (strip + 1) / strips;
    const quad = [mix(a, b, from), mix(a, b, to), mix(d, c, to), mix(d, c, from)] as const;
    let tone = Math.floor(random() * FIELD_TONES.length);
    if (tone === last) tone = (tone + 1) % FIELD_TONES.length;
    last = tone;
    shapes.push(fieldStrip(quad, FIELD_TONES[tone] as string, random()));
  }
  return shapes;
}

function fieldStrip(quad: readonly [Point, Point, Point, Point], tone: string, crop: number): Shape {
  return shape(quad, 0.2, (brush) => {
    trace(brush, quad);
    brush.closePath();
    brush.fillStyle = tone;
    brush.fill();
    if (crop < 0.45) furrows(brush, quad);
    else if (crop < 0.6) orchard(brush, quad);
    trace(brush, quad);
    brush.closePath();
    brush.lineWidth = 0.14;
    brush.strokeStyle = HEDGE;
    brush.stroke();
  });
}

function furrows(brush: Brush, [a, b, c, d]: readonly [Point, Point, Point, Point]): void {
  const count = Math.max(3, Math.round(Math.hypot(b.x - a.x, b.y - a.y) / 0.42));
  brush.strokeStyle = FURROW;
  brush.lineWidth = 0.1;
  for (let line = 1; line < count; line += 1) {
    trace(brush, [mix(mix(a, b, line / count), mix(d, c, line / count), 0.03), mix(mix(a, b, line / count), mix(d, c, line / count), 0.97)]);
    brush.stroke();
  }
}

function orchard(brush: Brush, [a, b, c, d]: readonly [Point, Point, Point, Point]): void {
  const across = Math.max(2, Math.round(Math.hypot(b.x - a.x, b.y - a.y) / 0.75));
  const along = Math.max(2, Math.round(Math.hypot(d.x - a.x, d.y - a.y) / 0.75));
  brush.fillStyle = ORCHARD;
  brush.beginPath();
  for (let i = 0; i < across; i += 1) {
    for (let j = 0; j < along; j += 1) {
      const at = mix(mix(a, b, (i + 0.5) / across), mix(d, c, (i + 0.5) / across), (j + 0.5) / along);
      brush.moveTo(at.x + 0.17, at.y);
      brush.arc(at.x, at.y, 0.17, 0, 2 * Math.PI);
    }
  }
  brush.fill();
}

function riverCourse(side: number, random: Random): Point[] {
  const points: Point[] = [];
  for (let y = -MARGIN_LENGTHS - 4; y <= side + MARGIN_LENGTHS + 4; y += 3) {
    const sway = Math.sin(y * 0.085) * 9 + Math.sin(y * 0.21 + 1) * 2.4;
    points.push({ x: side * 0.24 + y * 0.16 + sway + (random() - 0.5) * 1.2, y });
  }
  return points;
}

function water(river: readonly Point[]): Shape {
  return shape(river, 4, (brush) => {
    brush.lineJoin = 'round';
    brush.lineCap = 'round';
    for (const [width, tone] of [[3.5, BANK], [2.7, WATER]] as const) {
      flow(brush, river);
      brush.lineWidth = width;
      brush.strokeStyle = tone;
      brush.stroke();
    }
    brush.strokeStyle = RIPPLE;
    brush.lineWidth = 0.08;
    brush.setLineDash([1.6, 2.4, 0.7, 3.1]);
    for (const offset of [-0.7, 0.1, 0.8]) {
      flow(brush, river.map(({ x, y }) => ({ x: x + offset, y })));
      brush.stroke();
    }
    brush.setLineDash([]);
  });
}

function roads(side: number, random: Random): Shape[] {
  const courses = [0.3, 0.74].map((at) => {
    const points: Point[] = [];
    for (let x = -MARGIN_LENGTHS; x <= side + MARGIN_LENGTHS; x += 8) points.push({ x, y: side * at + Math.sin(x * 0.06 + at * 9) * 5 + (random() - 0.5) * 2 });
    return points;
  });
  courses.push(Array.from({ length: 12 }, (_, index) => ({ x: side * 0.78 + Math.sin(index * 0.9) * 3, y: -MARGIN_LENGTHS + index * ((side + 2 * MARGIN_LENGTHS) / 11) })));
  return courses.map((points) =>
    shape(points, 1, (brush) => {
      brush.lineCap = 'round';
      for (const [width, tone] of [[0.5, HEDGE], [0.3, ROAD]] as const) {
        flow(brush, points);
        brush.lineWidth = width;
        brush.strokeStyle = tone;
        brush.stroke();
      }
    }),
  );
}

type IsFree = (x: number, y: number) => boolean;

function woods(side: number, random: Random, isFree: IsFree): Shape[] {
  const shapes: Shape[] = [];
  const wanted = Math.round((side + MARGIN_LENGTHS) / 2);
  for (let tries = 0; shapes.length < wanted && tries < wanted * 4; tries += 1) {
    const at = somewhere(side, random);
    const trees = Array.from({ length: 6 + Math.floor(random() * 18) }, () => {
      const turn = random() * 2 * Math.PI;
      const far = Math.sqrt(random()) * 2.6;
      return { x: at.x + Math.cos(turn) * far * 1.5, y: at.y + Math.sin(turn) * far, size: 0.35 + random() * 0.5 };
    }).filter((tree) => isFree(tree.x, tree.y));
    if (trees.length > 3) shapes.push(wood(trees));
  }
  return shapes;
}

function wood(trees: readonly (Point & { size: number })[]): Shape {
  return shape(trees, 1.6, (brush) => {
    for (const [dx, dy, grow, tone] of [[0.28, 0.4, 1, '#0c171f66'], [0, 0, 1, '#16302f'], [-0.08, -0.1, 0.72, '#1d3d38'], [-0.16, -0.2, 0.32, '#27493f']] as const) {
      brush.fillStyle = tone;
      brush.beginPath();
      for (const { x, y, size } of trees) {
        brush.moveTo(x + dx + size * grow, y + dy);
        brush.arc(x + dx, y + dy, size * grow, 0, 2 * Math.PI);
      }
      brush.fill();
    }
  });
}

function villages(side: number, random: Random, isFree: IsFree): Shape[] {
  const shapes: Shape[] = [];
  for (let tries = 0; shapes.length < 9 && tries < 60; tries += 1) {
    const at = somewhere(side, random);
    const houses = Array.from({ length: 5 + Math.floor(random() * 6) }, () => ({
      x: at.x + (random() - 0.5) * 6, y: at.y + (random() - 0.5) * 4.4, turn: Math.round(random() * 4) * 0.4, lit: random() < 0.6, long: 0.8 + random() * 0.6,
    })).filter((house) => isFree(house.x, house.y));
    if (houses.length < 4) continue;
    shapes.push(shape(houses, 1.5, (brush) => houses.forEach((house) => roof(brush, house.x, house.y, house.turn, house.long, 0.62, house.lit))));
  }
  return shapes;
}

function somewhere(side: number, random: Random): Point {
  const reach = side + 2 * MARGIN_LENGTHS;
  return { x: random() * reach - MARGIN_LENGTHS, y: random() * reach - MARGIN_LENGTHS };
}
