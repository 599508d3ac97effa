// The arena page: puts the parts together and arrives.
//
// Path of a frame: input → what is due is sent → client → frame → events → picture and HUD. Only this file knows all
// parts; views and HUD know frames and callbacks.
import { Roster } from '../shared/chat/roster';
import { byId } from '../shared/dom';
import { Budget } from '../shared/link/budget';
import { Link } from '../shared/link/link';
import { ASKS_MAX, FOLLOWS_MAX } from '../shared/link/reconnect-policy';
import type { LinkState } from '../shared/link/reconnector';
import { Resume } from '../shared/link/resume-token';
import { RoomLocation } from '../shared/link/room-location';
import { hasReloaded, isCacheSuspect, loadAgain, settle, tellTrouble } from '../shared/loading';
import { loadMe, parseArrival, saveMe } from '../shared/me';
import { longStore, tabStore } from '../shared/store';
import { canDraw, WEBGL_OFF } from '../shared/webgl';
import { loadClient, nextEvent, standings, stats, view, type Client } from './client';
import type { ClientEvent } from './client-event';
import { watchFocus } from './focus';
import type { Frame } from './frame';
import { Hud } from './hud/hud';
import { Input } from './input';
import { run, type FrameRate } from './loop';
import { Sound } from './sound';
import { exposeTestHook } from './test-hook';
import { TouchPad } from './touch';
import { Scene } from './view/scene';

const SLOW_UPDATE_MS = 500;
const HIDDEN_DRAIN_MS = 1_000;
/** On a connection on which the game takes longer than this, the page says so and goes on waiting. */
const LATE_MS = 30_000;
/** As the page says it from the beginning. */
const ROLLING_OUT = 'Rolling your plane out.';
const LATE = 'The game is still on its way. Your connection seems slow.';
const MISSING = 'Part of the game did not arrive. Check your connection and load it again.';
const BROKEN = 'The game could not start on this page. Load it again, or go back to the lobby.';
const TOO_OLD = 'This browser is too old for the game. Try a newer one.';

const store = longStore();
const tab = tabStore();
const room = new RoomLocation();
const resume = new Resume(tab, store, room.durableId);
const arrival = parseArrival(location.hash);

const me = loadMe(store);
me.name = arrival.name ?? me.name;
me.hue = arrival.hue ?? me.hue;

const sound = new Sound(store.get('sound') !== 'off');

async function arrive(): Promise<void> {
  if (!canDraw()) return tellTrouble('failed', WEBGL_OFF);
  const late = setTimeout(() => (hasReloaded ? tellTrouble('late', LATE) : loadAgain('late')), LATE_MS);
  const parts = await load().catch((error: unknown) => giveUp(error, MISSING));
  clearTimeout(late);
  if (parts === undefined) return;
  // Neither ticket nor `?new` belongs into an invitation; until here they are what a page needs that loads itself again.
  settle(location.pathname);
  new ArenaPage(parts.client, parts.roster, parts.scene).start();
}

async function load(): Promise<{ client: Client; roster: Roster; scene: Scene }> {
  const client = await loadClient(isCacheSuspect);
  const roster = new Roster(client, () => performance.now());
  const scene = await Scene.open(byId('stage'), { nameOf: (pilot) => roster.nameOf(pilot) });
  return { client, roster, scene };
}

/** Some part did not come or is of no use: it is loaded once more, and then a person has to. */
function giveUp(error: unknown, sentence: string): undefined {
  console.error(error);
  if (!hasReloaded) loadAgain('failed');
  else tellTrouble('failed', typeof WebAssembly === 'object' ? sentence : TOO_OLD);
}

/** One stay in the arena: input, connection, picture and HUD. */
class ArenaPage {
  private readonly input: Input;
  private readonly link: Link;
  private readonly hud: Hud;
  private comesFromLobby = arrival.ticket !== undefined;
  private rtt = 0;
  private slowAt = 0;
  private sendInput = (): void => undefined;

  constructor(
    private readonly client: Client,
    private readonly roster: Roster,
    private readonly scene: Scene,
  ) {
    const pad = new TouchPad(scene.stage.canvas);
    this.input = new Input(pad, { onGesture: () => sound.unlock(), onLetGo: () => this.sendInput() });
    this.link = this.openLink();
    this.hud = this.openHud();
  }

  start(): void {
    const { client, scene } = this;
    const densities = (): Uint8Array => client.minimap();
    const { frame, rate, sendInput } = run({
      steer: (now) => this.steer(now),
      flush: () => this.link.flush(),
      view: (now, frame) => view(client, now, frame),
      events: (frame) => this.drain(frame),
      draw: (frame) => scene.draw(frame),
      afterDraw: (frame) => {
        this.hud.update(frame, rate.times, densities, client.field_cells());
        sound.hum(frame);
        this.updateSlowly(frame, rate);
      },
    });
    this.sendInput = sendInput;
    // A hidden page draws nothing, yet events must not pile up.
    setInterval(() => {
      if (document.hidden) this.drain(frame);
    }, HIDDEN_DRAIN_MS);
    exposeTestHook(frame, rate, { pilot: () => client.pilot(), name: () => me.name, rtt: () => this.rtt, silence: () => this.link.silenceNowMs });
    this.link.start();
  }

  private openLink(): Link {
    const { client } = this;
    return new Link(
      {
        url: room.socketUrl,
        client,
        hello: (ticket) => client.hello(me.name, me.hue, ticket, resume.token),
        hasResume: () => resume.token !== undefined,
        askTicket: (signal, onStage) => {
          // A refused ticket and a refused token look alike: come as somebody new.
          resume.refuse();
          return room.askTicket(signal, onStage);
        },
        relocate: room.relocate,
        probe: room.probe,
        isOnline: () => navigator.onLine,
        joins: new Budget(tab, 'joins', ASKS_MAX),
        follows: new Budget(tab, 'follows', FOLLOWS_MAX),
        onState: (state) => this.tell(state),
        reload: () => loadAgain('mismatch'),
        hasReloaded,
        now: () => performance.now(),
      },
      arrival.ticket,
    );
  }

  private openHud(): Hud {
    const { client, link, roster } = this;
    return new Hud({
      me,
      conditioned: { conditions: link.conditioner.conditions, stall: (forMs) => link.conditioner.stall(forMs), cut: (forMs) => link.cut(forMs) },
      pilot: () => client.pilot(),
      hueOf: (pilot) => roster.hueOf(pilot),
      lastNameOf: (pilot) => roster.lastNameOf(pilot),
      onSay: (text) => client.chat(text),
      onFlyAgain: () => client.fly_again(),
      onRename: () => {
        saveMe(store, me);
        client.rename(me.name, me.hue);
      },
      onComeBack: () => this.link.start(),
      onLeave: () => {
        // What is not received now would be sent at the next welcome, if the person flies here again after all.
        if (this.link.isWelcomed) client.leave();
        this.link.leave();
        resume.forget();
      },
    });
  }

  private tell(state: LinkState): void {
    const again = state.kind === 'stopped' ? state.again : undefined;
    this.hud.link.show(state.sentence, again);
    this.hud.curtain.say(state.sentence || ROLLING_OUT, again !== undefined);
  }

  private welcome(event: Extract<ClientEvent, { type: 'welcome' }>): void {
    const { client } = this;
    // Resumed after a turn in the lobby: what was chosen there counts, not what the session still knows.
    if (event.resumed && this.comesFromLobby && event.name !== me.name) client.rename(me.name, me.hue);
    else Object.assign(me, { name: event.name, hue: event.hue });
    this.comesFromLobby = false;
    saveMe(store, me);
    const token = client.resume_token();
    if (token !== undefined) resume.keep(token);
    this.link.welcomed();
  }

  private onEvent(event: ClientEvent, frame: Frame): void {
    const { client, roster, scene } = this;
    if (event.type === 'welcome') this.welcome(event);
    else if (event.type === 'chat') {
      roster.learn(event.member, event.name);
      sound.radio();
    } else if (event.type === 'shot') sound.shot(frame, event.x, event.y);
    else if (event.type === 'hit') {
      scene.hit(event.x, event.y, event.pilot === client.pilot());
      sound.hit(frame, event.x, event.y);
    } else if (event.type === 'explosion') {
      scene.explode(event.x, event.y, roster.hueOf(event.pilot));
      sound.explosion(frame, event.x, event.y);
    }
    this.hud.onEvent(event);
    if (event.type === 'joined') roster.learn(event.member, event.name);
  }

  private drain(frame: Frame): void {
    const { client } = this;
    for (let next = nextEvent(client); next !== undefined; next = nextEvent(client)) this.onEvent(next, frame);
  }

  private steer(now: number): void {
    const { client, input, scene } = this;
    const wanted = input.update(now, scene.stage.ownX, scene.stage.ownY);
    if (wanted.mode === 'towards') {
      // The stick follows from where the plane is by now; by where it was a picture ago it would sway.
      client.control_towards(wanted.angle, wanted.throttle, wanted.boost, wanted.fire, now);
    } else client.control(wanted.steer, wanted.throttle, wanted.boost, wanted.fire);
  }

  /** What needs no frame rate: lists and figures. */
  private updateSlowly({ now }: Frame, { fps, times }: FrameRate): void {
    if (now - this.slowAt < SLOW_UPDATE_MS) return;
    this.slowAt = now;
    const quality = stats(this.client);
    this.rtt = quality.rtt_ms;
    this.hud.slowUpdate(now, standings(this.client), quality, this.link.takeSilence(), times, fps);
  }
}

function setUpMute(): void {
  const button = byId('mute');
  const show = (): void => {
    button.setAttribute('aria-pressed', String(sound.on));
    button.title = sound.on ? 'Sound is on' : 'Sound is off';
  };
  button.addEventListener('click', () => {
    sound.setOn(!sound.on);
    store.set('sound', sound.on ? 'on' : 'off');
    show();
  });
  show();
}

document.addEventListener('visibilitychange', () => sound.rest(document.hidden));
watchFocus();
// Back from elsewhere to a page that the browser kept: its plane flew home meanwhile.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});
setUpMute();
arrive().catch((error: unknown) => giveUp(error, BROKEN));
