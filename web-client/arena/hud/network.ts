// The network panel: exact figures of the connection, the time between pictures, and a worse connection to try.
import { byId, setText } from '../../shared/dom';
import { TICK_HZ } from '../ticks';
import { ConditionerControls, type ConditionedLink } from '../../shared/link/conditioner-controls';
import type { LinkStats } from '../client-event';
import { giveBack } from '../focus';
import type { FrameTimes } from '../frame-times';
import { Graph } from './graph';

const TICK_MS = 1000 / TICK_HZ;
/** Over so long bytes and messages are counted; shorter, and the figures dance. */
const RATE_WINDOW_MS = 950;

export class NetworkPanel {
  private readonly panel = byId('network');
  private readonly button = byId('network-open');
  private readonly graph = new Graph(byId<HTMLCanvasElement>('net-graph'));
  private counted: { stats: LinkStats; at: number } | undefined;

  constructor(link: ConditionedLink) {
    new ConditionerControls(link, (isConditioned) => this.button.classList.toggle('conditioned', isConditioned));
    // A phone has no room for both; there the sliders open with a tap.
    const worse = byId<HTMLDetailsElement>('net-worse');
    worse.open = matchMedia('(min-width: 561px)').matches;
    worse.addEventListener('toggle', () => {
      if (worse.open) this.panel.scrollTop = worse.offsetTop;
    });
    this.button.addEventListener('click', () => this.toggle());
    byId('network-close').addEventListener('click', () => this.close());
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
}

function ticks(count: number, digits: number): string {
  return `${count.toFixed(digits)} ticks · ${Math.round(count * TICK_MS)} ms`.replaceAll('-', '−');
}

function kilobytes(bytes: number, seconds: number): string {
  return `${(bytes / seconds / 1000).toFixed(1)} kB/s`;
}
