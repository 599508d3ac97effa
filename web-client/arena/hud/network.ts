// The network panel: exact figures of the connection, the time between pictures, and a worse connection to try.
import { byId, setText } from '../../shared/dom';
import { TICK_HZ } from '../../shared/generated/protocol';
import { giveBack } from '../focus';
import type { FrameTimes } from '../frame-times';
import type { LinkStats } from '../client-event';
import { BANDWIDTHS_BYTES_PER_SECOND, isUntouched, JITTER_MAX_MS, LATENCY_MAX_MS, type NetworkConditions } from '../../shared/link/delayed-queue';
import { Graph } from './graph';

/** What the panel may do to this page's own connection. */
export interface ConditionedLink {
  readonly conditions: NetworkConditions;
  stall(forMs: number): void;
  cut(forMs: number): void;
}

/** What the buttons do. Shorter than the silence after which the line is given up, and longer. */
export const STALL_MS = 2_000;
export const CUT_MS = 10_000;
const TICK_MS = 1000 / TICK_HZ;
/** Over so long bytes and messages are counted; shorter, and the figures dance. */
const RATE_WINDOW_MS = 950;

export class NetworkPanel {
  private readonly panel = byId('network');
  private readonly button = byId('network-open');
  private readonly graph = new Graph(byId<HTMLCanvasElement>('net-graph'));
  private readonly sliders = [byId<HTMLInputElement>('net-latency'), byId<HTMLInputElement>('net-jitter'), byId<HTMLInputElement>('net-width')];
  private counted: { stats: LinkStats; at: number } | undefined;

  constructor(private readonly link: ConditionedLink) {
    // A phone has no room for both; there the sliders open with a tap.
    const worse = byId<HTMLDetailsElement>('net-worse');
    worse.open = matchMedia('(min-width: 561px)').matches;
    worse.addEventListener('toggle', () => {
      if (worse.open) this.panel.scrollTop = worse.offsetTop;
    });
    this.button.addEventListener('click', () => this.toggle());
    byId('network-close').addEventListener('click', () => this.close());
    this.slider('net-latency', LATENCY_MAX_MS, (value) => (link.conditions.latencyMs = value), milliseconds);
    this.slider('net-jitter', JITTER_MAX_MS, (value) => (link.conditions.jitterMs = value), milliseconds);
    this.slider('net-width', BANDWIDTHS_BYTES_PER_SECOND.length - 1, (value) => (link.conditions.bytesPerSecond = widthOf(value)), widthName);
    byId('net-stall').addEventListener('click', () => link.stall(STALL_MS));
    byId('net-cut').addEventListener('click', () => link.cut(CUT_MS));
    byId('net-reset').addEventListener('click', () => this.reset());
    this.panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  get isOpen(): boolean {
    return !this.panel.hidden;
  }

  toggle(): void {
    giveBack(this.panel);
    this.panel.hidden = this.isOpen;
    this.button.setAttribute('aria-expanded', String(this.isOpen));
  }

  close(): void {
    if (this.isOpen) this.toggle();
  }

  /** Once a picture. */
  draw(times: FrameTimes): void {
    if (this.isOpen) this.graph.draw(times);
  }

  /** About twice a second. */
  update(stats: LinkStats, times: FrameTimes, now: number): void {
    if (this.isOpen) this.tell(stats, times);
    const before = this.counted;
    if (before !== undefined && now - before.at < RATE_WINDOW_MS) return;
    this.counted = { stats, at: now };
    if (before !== undefined && this.isOpen) this.tellRates(stats, before.stats, (now - before.at) / 1000);
  }

  private tell(stats: LinkStats, times: FrameTimes): void {
    setText(byId('net-trip'), `${stats.rtt_ms.toFixed(1)} ms`);
    setText(byId('net-uneven'), `${stats.jitter_ms.toFixed(1)} ms`);
    setText(byId('net-lead'), `${ticks(stats.lead_ticks, 0)}${stats.late_packets > 0 ? ` · ${stats.late_packets} late` : ''}`);
    setText(byId('net-ahead'), ticks(stats.ahead_ticks, 1));
    setText(byId('net-behind'), ticks(stats.interp_ticks, 1));
    const last = stats.corrections > 0 ? ` · last ${stats.correction_lengths.toFixed(2)} lengths` : '';
    setText(byId('net-corrections'), `${stats.corrections}${last}`);
    setText(byId('net-hits'), `${stats.shots_met} · ${stats.shots_confirmed} confirmed · ${stats.shots_unseen} unseen`);
    setText(byId('net-pictures'), `${times.within(0.5).toFixed(1)} ms · 95 % in ${times.within(0.95).toFixed(1)} ms`);
  }

  private tellRates(stats: LinkStats, before: LinkStats, seconds: number): void {
    const frames = Math.round((stats.frames - before.frames) / seconds);
    setText(byId('net-in'), `${kilobytes(stats.bytes_in - before.bytes_in, seconds)} · ${frames} messages/s`);
    setText(byId('net-out'), kilobytes(stats.bytes_out - before.bytes_out, seconds));
  }

  private slider(id: string, max: number, set: (value: number) => void, name: (value: number) => string): void {
    const slider = byId<HTMLInputElement>(id);
    slider.max = String(max);
    const apply = (): void => {
      set(slider.valueAsNumber);
      setText(byId(`${id}-value`), name(slider.valueAsNumber));
      slider.setAttribute('aria-valuetext', name(slider.valueAsNumber));
      this.button.classList.toggle('conditioned', !isUntouched(this.link.conditions));
    };
    slider.addEventListener('input', apply);
    // Dragged, it gives the keys back to the plane; reached by keyboard, it keeps them.
    for (const type of ['pointerup', 'pointercancel']) slider.addEventListener(type, () => slider.blur());
    apply();
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

function ticks(count: number, digits: number): string {
  return `${count.toFixed(digits)} ticks · ${Math.round(count * TICK_MS)} ms`.replaceAll('-', '−');
}

function kilobytes(bytes: number, seconds: number): string {
  return `${(bytes / seconds / 1000).toFixed(1)} kB/s`;
}
