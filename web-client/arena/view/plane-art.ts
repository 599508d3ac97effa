// The pictures of a plane, cut once: eight bodies with wing marks, shadow, flame, muzzle flash, shield, propeller.
import type { Texture } from 'pixi.js';
import { HUES, type Hue } from '../../shared/palette';
import { COCKPIT_PATH, MARK_SCALE, MARK_X, MARK_Y, PLANE_FOLD_PATH, PLANE_PATH } from '../../shared/plane';
import { cut, type Brush } from './paper';

/** Sharp at twice the usual size on a dense screen. */
export const PLANE_PX_PER_LENGTH = 128;
const BOX = 1.3;

export interface PlaneArt {
  bodies: readonly Texture[];
  shadow: Texture;
  flame: Texture;
  muzzle: Texture;
  shield: Texture;
  propeller: Texture;
}

export function cutPlaneArt(): PlaneArt {
  const sheet = (width: number, height: number, draw: (brush: Brush) => void): Texture => cut(width, height, PLANE_PX_PER_LENGTH, draw);
  return {
    bodies: HUES.map((hue) => sheet(BOX, BOX, (brush) => body(brush, hue))),
    shadow: sheet(BOX, BOX, (brush) => {
      brush.filter = 'blur(3px)';
      brush.fillStyle = '#060d12';
      brush.fill(new Path2D(PLANE_PATH));
    }),
    flame: sheet(0.8, 0.4, flame),
    muzzle: sheet(0.6, 0.6, muzzle),
    shield: sheet(2, 2, shield),
    propeller: sheet(0.1, 0.6, (brush) => {
      brush.fillStyle = '#f2ebdd';
      brush.beginPath();
      brush.ellipse(0, 0, 0.022, 0.26, 0, 0, 2 * Math.PI);
      brush.fill();
    }),
  };
}

function body(brush: Brush, hue: Hue): void {
  const outline = new Path2D(PLANE_PATH);
  // A thin dark edge lifts the paper off any ground.
  brush.strokeStyle = '#0d1922b0';
  brush.lineWidth = 0.045;
  brush.lineJoin = 'round';
  brush.stroke(outline);
  brush.fillStyle = hue.css;
  brush.fill(outline);
  brush.fillStyle = '#0000002e';
  brush.fill(new Path2D(PLANE_FOLD_PATH));
  brush.fillStyle = '#ffffff26';
  brush.fillRect(-0.44, -0.02, 0.88, 0.02);
  brush.fillStyle = '#12202b';
  brush.fill(new Path2D(COCKPIT_PATH));
  brush.fillStyle = '#ffffff40';
  brush.fillRect(0.09, -0.03, 0.12, 0.014);
  for (const side of [-1, 1]) {
    brush.save();
    brush.translate(MARK_X, side * MARK_Y);
    brush.scale(MARK_SCALE, MARK_SCALE);
    brush.fillStyle = '#12202b';
    brush.fill(new Path2D(hue.path), 'evenodd');
    brush.restore();
  }
}

/** Points west, root at the origin's east. */
function flame(brush: Brush): void {
  for (const [long, wide, tone] of [[0.38, 0.13, '#ff7a4d'], [0.25, 0.085, '#f0b94a'], [0.13, 0.045, '#fff3d6']] as const) {
    brush.fillStyle = tone;
    brush.beginPath();
    brush.moveTo(0.38, -wide);
    brush.quadraticCurveTo(0.38 - long * 1.2, -wide * 0.9, 0.38 - long * 2, 0);
    brush.quadraticCurveTo(0.38 - long * 1.2, wide * 0.9, 0.38, wide);
    brush.fill();
  }
}

function muzzle(brush: Brush): void {
  brush.fillStyle = '#fff3d6';
  brush.beginPath();
  for (let corner = 0; corner < 8; corner += 1) {
    const turn = (corner * Math.PI) / 4;
    const far = corner % 2 === 0 ? (corner === 0 ? 0.28 : 0.17) : 0.06;
    brush.lineTo(Math.cos(turn) * far, Math.sin(turn) * far);
  }
  brush.fill();
}

function shield(brush: Brush): void {
  brush.strokeStyle = '#f2ebdd';
  brush.lineWidth = 0.035;
  brush.lineCap = 'round';
  brush.setLineDash([0.26, 0.2]);
  brush.beginPath();
  brush.arc(0, 0, 0.82, 0, 2 * Math.PI);
  brush.stroke();
}
