// The lounge's page: puts the parts together and arrives.
//
// Path: bytes → client → events → feed → rows → log. What is said goes the other way: composer → feed and client at once.
import { Roster } from '../shared/chat/roster';
import { byId, setText } from '../shared/dom';
import { LinkNote } from '../shared/link-note';
import type { Link } from '../shared/link/link';
import type { LinkState } from '../shared/link/reconnector';
import { arrive, isCacheSuspect } from '../shared/loading';
import { RenameDialog } from '../shared/rename-dialog';
import { READER } from '../shared/session';
import { ShareDialog } from '../shared/share-dialog';
import { Visit, watchWaysOut } from '../shared/visit';
import { Announcer } from './announcer';
import { loadClient, nextEvent } from './client';
import type { ClientEvent, LoungeClient } from './client-event';
import { Composer } from './composer';
import { Feed } from './feed';
import { LogView } from './log-view';
import { rowsOf } from './rows';

/** News come on the room's beat of 10 Hz; more often nobody sees. */
const DRAIN_EVERY_MS = 50;
/** Names' colours that were on their way, and days that ended. */
const REFRESH_EVERY_MS = 2_000;
/** An idle room says something every 5 s. */
const SILENCE_MAX_MS = 12_000;
const SLOW = 'The server is very busy: lines come late.';
const BUSY = 'The server is busy: lines come a little late.';

const visit = new Visit();
const { me } = visit;

/** One stay in the lounge. */
class LoungePage {
  private readonly feed = new Feed();
  private readonly roster: Roster;
  private readonly link: Link;
  private readonly note: LinkNote;
  private readonly composer = new Composer((text) => this.say(text));
  private readonly log = new LogView((key) => this.takeBack(key));
  private readonly announcer = new Announcer((sentence) => setText(byId('news'), sentence), () => me.name);
  private readonly dialog: RenameDialog;
  private member = 0;
  /** Lines of others since the log was last drawn. */
  private added = 0;
  private isChanged = true;

  constructor(private readonly client: LoungeClient) {
    this.roster = new Roster(client, () => performance.now());
    this.link = visit.connect(client, { onState: (state) => this.tell(state), draft: () => this.draft, silenceMaxMs: SILENCE_MAX_MS });
    this.note = new LinkNote(() => this.link.start());
    this.dialog = new RenameDialog(me, () => {
      visit.rename(client);
      this.feed.rename(me.name);
      this.isChanged = true;
    });
    new ShareDialog(visit.room, byId('share-open'));
    watchWaysOut(() => visit.leave(client, this.link));
    this.composer.draft = visit.draft;
  }

  start(): void {
    byId('boot').remove();
    setInterval(() => this.drain(), DRAIN_EVERY_MS);
    setInterval(() => this.draw(), REFRESH_EVERY_MS);
    // A phone would open its keyboard over what there is to read.
    if (matchMedia('(hover: hover)').matches) this.composer.focus();
    this.link.start();
  }

  /** What would be lost with this page: what is typed, or else what may never have arrived. */
  private get draft(): string {
    return this.composer.draft || this.feed.unsent.join(' ');
  }

  private say(text: string): boolean {
    // Later the client keeps it until it is connected again.
    if (this.member === 0) return false;
    this.feed.say(this.client.say(text), text, Date.now() / 1000);
    this.link.flush();
    this.draw();
    this.log.toEnd();
    return true;
  }

  private takeBack(key: string): void {
    if (this.composer.draft.trim() !== '') return this.composer.tell('There is something else here already. Say that first.');
    this.composer.draft = this.feed.takeBack(key) ?? '';
    this.composer.focus();
    this.draw();
  }

  private tell(state: LinkState): void {
    this.note.show(state.sentence, state.kind === 'stopped' ? state.again : undefined);
    if (state.kind === 'open' || state.kind === 'stopped') setText(byId('place'), '');
  }

  private drain(): void {
    for (let next = nextEvent(this.client); next !== undefined; next = nextEvent(this.client)) this.onEvent(next);
    if (this.isChanged) this.draw();
  }

  private onEvent(event: ClientEvent): void {
    this.isChanged = true;
    switch (event.type) {
      case 'welcome':
        return this.welcome(event);
      case 'chat':
        return this.add(event);
      case 'taken':
        return this.feed.taken(event.id, event.entry);
      case 'declined':
        return this.declined(event);
      case 'kept':
        return this.feed.kept(event.entry);
      case 'notice':
        return this.feed.notice(event.text, Date.now() / 1000);
      case 'joined':
        return this.roster.learn(event.member, event.name);
      case 'people':
        return setText(byId('people'), event.count === 1 ? 'Only you' : `${event.count} people`);
      case 'service':
        return setText(byId('service'), event.slow ? SLOW : event.level > 0 ? BUSY : '');
      default:
    }
  }

  private welcome(event: Extract<ClientEvent, { type: 'welcome' }>): void {
    visit.welcomed(event, this.client, this.link);
    this.member = event.member;
    byId('me').dataset['member'] = String(event.member);
    this.feed.welcome({ member: event.member, name: me.name }, event.continues ? undefined : event.history);
    this.composer.open(event.role !== READER);
    this.dialog.draw();
    setText(byId('service'), '');
  }

  private add(line: Extract<ClientEvent, { type: 'chat' }>): void {
    this.feed.add(line);
    if (line.member === this.member) return;
    this.added += 1;
    this.announcer.line(line);
  }

  private declined({ id, text: sentence }: Extract<ClientEvent, { type: 'declined' }>): void {
    const text = this.feed.declined(id, sentence);
    if (text === undefined || this.composer.draft.trim() !== '') return;
    this.feed.forget(id);
    this.composer.draft = text;
    this.composer.tell(sentence);
  }

  private draw(): void {
    const { added, feed, member, roster } = this;
    this.log.show(rowsOf(feed.shown, { hueOf: (who) => (who === member ? me.hue : roster.hueOf(who)), member, nowMs: Date.now() }), added);
    [this.added, this.isChanged] = [0, false];
  }
}

void arrive(() => loadClient(isCacheSuspect), (client) => new LoungePage(client).start());
