// Everything in the DOM over the picture, and how events reach it. It reads frames and reports what the person wants by
// callbacks.
import { ChatPanel } from '../../shared/chat/panel';
import { byId, setText } from '../../shared/dom';
import type { ConditionedLink } from '../../shared/link/conditioner-controls';
import { LinkNote } from '../../shared/link-note';
import type { Me } from '../../shared/me';
import { RenameDialog } from '../../shared/rename-dialog';
import { READER } from '../../shared/session';
import type { ClientEvent, LinkStats, Standing } from '../client-event';
import { giveBack, isForPlane } from '../focus';
import type { Frame } from '../frame';
import type { FrameTimes } from '../frame-times';
import { Diagnosis, FULL_SERVICE } from './diagnosis';
import { KillFeed } from './kills';
import { Minimap } from './minimap';
import { NetworkPanel } from './network';
import { Curtain, DownPanel, showHelpForAWhile } from './panels';
import { ScoreBoard } from './score';
import { ServiceNote } from './service';

export interface HudOptions {
  me: Me;
  conditioned: ConditionedLink;
  pilot(): number;
  hueOf(pilot: number): number;
  /** As it was before what happens now. */
  lastNameOf(pilot: number): string | undefined;
  onSay(text: string): void;
  onFlyAgain(): void;
  onRename(): void;
  onComeBack(): void;
}

/** Down for so long without knowing why (a reload while down): the panel opens by itself. */
const UNEXPLAINED_DOWN_MS = 1_200;
/** Told from here on; in less a plane flies no farther than it is long. */
const BEHIND_TOLD_MS = 100;
/** By its letter, wherever that lies. */
const NETWORK_KEY = 'n';
/** A trigger still held from the fight must not press the button. */
const AGAIN_AFTER_MS = 350;

export class Hud {
  readonly curtain = new Curtain();
  readonly link: LinkNote;
  private readonly service = new ServiceNote(byId('service'));
  private readonly diagnosis = new Diagnosis();
  private readonly network: NetworkPanel;
  private readonly score = new ScoreBoard();
  private readonly kills = new KillFeed();
  private readonly minimap = new Minimap();
  readonly chat: ChatPanel;
  private readonly down: DownPanel;
  private readonly dialog: RenameDialog;
  private downSince: number | undefined;
  /** We only look on: there is no plane of ours, and nothing to say. */
  private isWatching = false;

  constructor(private readonly options: HudOptions) {
    this.link = new LinkNote(options.onComeBack);
    this.chat = new ChatPanel({ onSay: options.onSay, hueOf: options.hueOf });
    this.down = new DownPanel(options.onFlyAgain);
    this.dialog = new RenameDialog(options.me, options.onRename, giveBack);
    this.network = new NetworkPanel(options.conditioned);
    document.addEventListener('visibilitychange', () => this.diagnosis.startOver(performance.now()));
    addEventListener('keydown', (event) => this.onKey(event));
  }

  update(frame: Frame, times: FrameTimes, densities: () => Uint8Array, cells: number): void {
    if (frame.isSynced) this.curtain.lift();
    this.score.update(frame);
    this.minimap.update(frame, densities, cells);
    this.updateDown(frame);
    this.network.draw(times);
  }

  /** About twice a second. `silenceMs`: the connection's longest since the last time. */
  slowUpdate(now: number, standings: readonly Standing[], stats: LinkStats, silenceMs: number, times: FrameTimes, fps: number): void {
    this.score.top(standings, this.options.pilot());
    this.score.link(stats, fps);
    this.network.update(stats, times, now);
    // A lost connection is told above the picture already.
    if (this.link.isShown) this.diagnosis.startOver(now);
    const measured = { silenceMs, jitterMs: stats.jitter_ms, tripMs: stats.rtt_ms, frameMs: times.within(0.95) };
    this.service.show(this.diagnosis.judge(measured, now), this.diagnosis.pausedMs);
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'welcome':
        // Service is full until the next event says otherwise.
        this.diagnosis.serve(FULL_SERVICE);
        this.diagnosis.startOver(performance.now());
        this.down.offer();
        this.watch(event.role === READER);
        // After a short loss of the connection, what is shown still holds.
        if (!event.continues) this.chat.history(event.history);
        this.dialog.draw();
        showHelpForAWhile();
        return;
      case 'chat':
        return this.chat.add(event);
      case 'notice':
      case 'declined':
        return this.chat.notice(event.text);
      case 'service':
        return this.diagnosis.serve(event);
      case 'jump':
        return this.diagnosis.jump(event.ms, event.own, performance.now());
      case 'joined':
        return this.joined(event.member, event.name || 'A pilot');
      case 'left':
        return this.chat.notice(`${event.name || 'A pilot'} flew home.`);
      case 'kill':
        return this.kill(event);
      default:
    }
  }

  private watch(isWatching: boolean): void {
    this.isWatching = isWatching;
    document.body.classList.toggle('watching', isWatching);
    byId('watching').hidden = !isWatching;
  }

  /** The wire tells a change of call sign the same way. */
  private joined(pilot: number, name: string): void {
    if (pilot === this.options.pilot()) return;
    const before = this.options.lastNameOf(pilot);
    if (before === undefined) this.chat.notice(`${name} is in the air.`);
    else if (before !== name) this.chat.notice(`${before} is called ${name} now.`);
  }

  private kill(kill: Extract<ClientEvent, { type: 'kill' }>): void {
    const own = this.options.pilot();
    const killerName = kill.killer_name || 'A pilot';
    const victimName = kill.victim_name || 'a pilot';
    this.kills.add({ killerName, victimName, rammed: kill.rammed, isMine: kill.killer === own || kill.victim === own });
    if (kill.victim !== own) return;
    const sentence = kill.rammed ? `${killerName} flew into you.` : `${killerName} shot you down${whereOf(kill.behind_ms)}.`;
    this.open(sentence);
    setText(byId('news'), sentence);
  }

  private updateDown(frame: Frame): void {
    if (frame.isAlive || !frame.isSynced || this.isWatching) {
      this.downSince = undefined;
      if (frame.isAlive && this.down.isOpen) this.close();
      return;
    }
    this.downSince ??= frame.now;
    this.down.update(frame.respawnTicks);
    const isUnexplained = !this.down.isOpen && frame.respawnTicks < 0 && frame.now - this.downSince > UNEXPLAINED_DOWN_MS;
    if (isUnexplained) this.open('Your plane is on the ground.');
  }

  private open(sentence: string): void {
    this.down.open(sentence);
    this.score.showAll(true);
  }

  private close(): void {
    this.down.close();
    this.score.showAll(false);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (!isForPlane(event)) return;
    const isReady = this.down.isOpen && performance.now() - (this.downSince ?? performance.now()) > AGAIN_AFTER_MS;
    if (this.down.isOpen && (event.code === 'Space' || event.code === 'Enter')) {
      event.preventDefault();
      if (isReady) this.down.again();
    } else if (event.code === 'Enter' && !this.isWatching) {
      event.preventDefault();
      this.chat.wake();
    } else if (event.key === 'Escape') this.network.close();
    else if (event.key.toLowerCase() === NETWORK_KEY) this.network.toggle();
  }
}

/** A bullet meets its target where the shooter sees it. */
function whereOf(behindMs: number): string {
  return behindMs < BEHIND_TOLD_MS ? '' : ` where you were ${(behindMs / 1000).toFixed(1)} s ago`;
}
