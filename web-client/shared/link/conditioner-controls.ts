// The controls of the network conditioner: three sliders, a stall, a cut, and a reset. The page has the elements `net-*`.
import { byId, setText } from '../dom';
import { BANDWIDTHS_BYTES_PER_SECOND, isUntouched, JITTER_MAX_MS, LATENCY_MAX_MS, type NetworkConditions } from './delayed-queue';

/** What the controls may do to this page's own connection. */
export interface ConditionedLink {
  readonly conditions: NetworkConditions;
  stall(forMs: number): void;
  cut(forMs: number): void;
}

/** What the buttons do. Shorter than the silence after which the connection is given up, and longer. */
const STALL_MS = 2_000;
const CUT_MS = 10_000;

export class ConditionerControls {
  private readonly sliders: readonly HTMLInputElement[];

  /** `onChange` hears whether any condition is set. */
  constructor(
    private readonly link: ConditionedLink,
    private readonly onChange: (isConditioned: boolean) => void,
  ) {
    const { conditions } = link;
    this.sliders = [
      this.slider('net-latency', LATENCY_MAX_MS, (value) => (conditions.latencyMs = value), milliseconds),
      this.slider('net-jitter', JITTER_MAX_MS, (value) => (conditions.jitterMs = value), milliseconds),
      this.slider('net-width', BANDWIDTHS_BYTES_PER_SECOND.length - 1, (value) => (conditions.bytesPerSecond = widthOf(value)), widthName),
    ];
    byId('net-stall').addEventListener('click', () => link.stall(STALL_MS));
    byId('net-cut').addEventListener('click', () => link.cut(CUT_MS));
    byId('net-reset').addEventListener('click', () => this.reset());
  }

  private slider(id: string, max: number, set: (value: number) => void, name: (value: number) => string): HTMLInputElement {
    const slider = byId<HTMLInputElement>(id);
    slider.max = String(max);
    const apply = (): void => {
      set(slider.valueAsNumber);
      setText(byId(`${id}-value`), name(slider.valueAsNumber));
      slider.setAttribute('aria-valuetext', name(slider.valueAsNumber));
      this.onChange(!isUntouched(this.link.conditions));
    };
    slider.addEventListener('input', apply);
    // Dragged, it gives the keys back to the page; reached by keyboard, it keeps them.
    for (const type of ['pointerup', 'pointercancel']) slider.addEventListener(type, () => slider.blur());
    apply();
    return slider;
  }

  private reset(): void {
    for (const slider of this.sliders) {
      slider.value = '0';
      slider.dispatchEvent(new Event('input'));
    }
  }
}

function milliseconds(value: number): string {
  return value === 0 ? 'none added' : `${value} ms added`;
}

function widthOf(step: number): number {
  return BANDWIDTHS_BYTES_PER_SECOND[step] ?? 0;
}

function widthName(step: number): string {
  const width = widthOf(step);
  return width === 0 ? 'as it is' : `${width / 1000} kB/s`;
}
