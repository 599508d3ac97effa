// What people built: houses of the villages, and the aerodrome in the middle of the field. Units: plane lengths.
import type { Brush } from './paper';

/** A gabled roof seen from above, its shadow to the south-east, a warm window where somebody is at home. */
export function roof(brush: Brush, x: number, y: number, turn: number, long: number, wide: number, lit: boolean): void {
  const part = (dx: number, dy: number, top: number, height: number, tone: string): void => {
    brush.save();
    brush.translate(x + dx, y + dy);
    brush.rotate(turn);
    brush.fillStyle = tone;
    brush.fillRect(-long / 2, top, long, height);
    brush.restore();
  };
  part(0.22, 0.3, -wide / 2, wide, '#0c171f77');
  part(0, 0, -wide / 2, wide / 2, '#8d6a5a');
  part(0, 0, 0, wide / 2, '#6d5049');
  if (!lit) return;
  brush.save();
  brush.translate(x, y);
  brush.rotate(turn);
  brush.fillStyle = '#f0b94a';
  brush.fillRect(-0.1, wide / 2 - 0.05, 0.22, 0.13);
  brush.restore();
}

/** Runway, apron, three hangars and the tower around this place. */
export function aerodrome(brush: Brush, x: number, y: number): void {
  brush.save();
  brush.translate(x, y);
  brush.rotate(-0.32);
  brush.fillStyle = '#24424a';
  brush.beginPath();
  brush.ellipse(0, 0, 13, 8.2, 0, 0, 2 * Math.PI);
  brush.fill();
  runway(brush, 23, 2.1);
  brush.fillStyle = '#3d5560';
  brush.fillRect(-5.5, -4.9, 11, 2.1);
  brush.fillRect(-0.5, -3, 1, 2.2);
  for (const at of [-4.2, -1.4, 1.4]) hangar(brush, at, -5.6);
  tower(brush, 4.4, -4.7);
  brush.restore();
}

function runway(brush: Brush, long: number, wide: number): void {
  brush.fillStyle = '#3d5560';
  brush.fillRect(-long / 2, -wide / 2, long, wide);
  brush.fillStyle = '#d8cdb6b0';
  for (let at = -long / 2 + 2.6; at < long / 2 - 3; at += 1.7) brush.fillRect(at, -0.06, 0.9, 0.12);
  for (const end of [-1, 1]) {
    for (let bar = -3; bar <= 3; bar += 1) brush.fillRect(end * (long / 2 - 0.95) - 0.5, bar * 0.27 - 0.07, 1, 0.14);
  }
  brush.fillStyle = '#f0b94a';
  for (let at = -long / 2; at <= long / 2; at += 1.15) {
    for (const edge of [-1, 1]) brush.fillRect(at - 0.05, edge * (wide / 2 + 0.16) - 0.05, 0.1, 0.1);
  }
}

function hangar(brush: Brush, x: number, y: number): void {
  brush.fillStyle = '#0c171f77';
  brush.fillRect(x - 1 + 0.35, y - 0.9 + 0.45, 2.2, 1.8);
  ['#8d8a7d', '#9c978a', '#7f7d73', '#68695f'].forEach((tone, rib) => {
    brush.fillStyle = tone;
    brush.fillRect(x - 1.1 + rib * 0.55, y - 0.9, 0.56, 1.8);
  });
  brush.fillStyle = '#f0b94a';
  brush.fillRect(x - 0.6, y + 0.86, 1.2, 0.12);
}

function tower(brush: Brush, x: number, y: number): void {
  for (const [dx, dy, radius, tone] of [[0.3, 0.42, 0.6, '#0c171f77'], [0, 0, 0.6, '#9c978a'], [0, 0, 0.4, '#5f7d89'], [0, 0, 0.2, '#ff7a4d']] as const) {
    brush.fillStyle = tone;
    brush.beginPath();
    brush.arc(x + dx, y + dy, radius, 0, 2 * Math.PI);
    brush.fill();
  }
}
