// Score and own rank, the top list, and the small read-out of ping and frame rate.
import { byId, el, setText } from '../../shared/dom';
import type { Frame } from '../frame';
import type { LinkStats, Standing } from '../client-event';

export class ScoreBoard {
  private readonly score = byId('score');
  private readonly rank = byId('rank');
  private readonly list = byId('top');
  private readonly readout = byId('readout');
  private shown = '';
  private shownScore = -1;
  private shownRank = -1;
  private shownRanked = -1;

  update(frame: Frame): void {
    const { score, rank, ranked } = frame;
    if (score === this.shownScore && rank === this.shownRank && ranked === this.shownRanked) return;
    this.shownScore = score;
    this.shownRank = rank;
    this.shownRanked = ranked;
    setText(this.score, String(score));
    setText(this.rank, rank > 0 ? `${rank} of ${Math.max(rank, ranked)}` : '–');
  }

  top(standings: readonly Standing[], own: number): void {
    const key = standings.map(({ pilot, name, score }) => `${pilot}|${name}|${score}`).join();
    if (key === this.shown) return;
    this.shown = key;
    this.list.replaceChildren(
      ...standings.map(({ rank, pilot, name, score }) =>
        el('li', { class: pilot === own ? 'own' : '' }, el('span', {}, String(rank)), el('span', {}, name || 'A pilot'), el('span', {}, String(score))),
      ),
    );
  }

  /** All ten while there is time to read, five otherwise. */
  showAll(isDown: boolean): void {
    this.list.classList.toggle('all', isDown);
  }

  link(stats: LinkStats, fps: number): void {
    setText(this.readout, `${Math.round(stats.rtt_ms)} ms · ${Math.round(fps)} frames/s`);
  }
}
