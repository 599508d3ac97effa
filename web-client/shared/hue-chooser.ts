// Eight radio buttons, each a small paper plane with its wing mark.
import { el, icon } from './dom';
import { HUES, type Hue } from './palette';
import { MARK_SCALE, MARK_X, MARK_Y, PLANE_FOLD_PATH, PLANE_PATH } from './plane';

/** Fills `into` (a fieldset) and reports each choice. Returns a setter. */
export function hueChooser(into: HTMLElement, chosen: number, onChoose: (hue: number) => void): (hue: number) => void {
  const inputs = HUES.map((hue, index) => {
    const input = el('input', { type: 'radio', name: 'hue', value: String(index), 'aria-label': `${hue.name}, ${hue.mark}` });
    input.checked = index === chosen;
    input.addEventListener('change', () => onChoose(index));
    into.append(el('label', { class: 'hue', title: hue.name }, input, planeIcon(hue)));
    return input;
  });
  return (hue) => {
    const input = inputs[hue];
    if (input !== undefined) input.checked = true;
  };
}

/** A plane of this hue, nose up, mark on both wings. */
export function planeIcon(hue: Hue): SVGSVGElement {
  const turn = 'rotate(-90)';
  return icon(
    '-.58 -.58 1.16 1.16',
    { d: PLANE_PATH, fill: hue.css, transform: turn },
    { d: PLANE_FOLD_PATH, fill: '#00000026', transform: turn },
    { d: hue.path, fill: '#12202b', transform: `${turn} translate(${MARK_X} ${MARK_Y}) scale(${MARK_SCALE})` },
    { d: hue.path, fill: '#12202b', transform: `${turn} translate(${MARK_X} ${-MARK_Y}) scale(${MARK_SCALE})` },
  );
}
