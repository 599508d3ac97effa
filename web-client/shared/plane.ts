// The one silhouette of a plane, nose to the east, one unit long: lobby, board and arena cut it from the same paper.

/** The half right of the fold (south, when flying east). Absolute M, L and C only, so that it can be mirrored. */
const HALF =
  'M.5 0C.5 .05 .46 .075 .4 .08L.24 .088L.13 .48C.12 .53 .09 .55 .05 .55L-.03 .55C-.07 .55 -.09 .53 -.085 .49' +
  'L-.06 .09L-.3 .05L-.33 .2C-.335 .225 -.35 .235 -.375 .235L-.43 .235C-.455 .235 -.465 .22 -.462 .2L-.44 .03L-.5 0Z';

/** Fuselage, wings and tail. */
export const PLANE_PATH = HALF + mirrored(HALF);
/** Drawn over it a shade darker, as folded paper is. */
export const PLANE_FOLD_PATH = HALF;
/** Glass over the pilot. */
export const COCKPIT_PATH = 'M.3 0C.3 .035 .24 .05 .19 .05C.12 .05 .06 .035 .02 0C.06 -.035 .12 -.05 .19 -.05C.24 -.05 .3 -.035 .3 0Z';
/** Centre of a wing mark: this far ahead, and to either side. */
export const MARK_X = 0.05;
export const MARK_Y = 0.32;
export const MARK_SCALE = 0.085;

function mirrored(path: string): string {
  let isY = true;
  return path.replace(/-?\d*\.?\d+/g, (number) => {
    isY = !isY;
    return isY ? String(-Number(number)) : number;
  });
}
