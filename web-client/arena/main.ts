// The arena page: puts the parts together and arrives.
//
// Path of a frame: input → what is due is sent → client → frame → events → picture and HUD. Only this file knows all
// parts; views and HUD know frames and callbacks.
import { Roster } from '../shared/chat/roster';
import { byId } from '../shared/dom';
import type { Link } from '../shared/link/link';
import type { LinkState } from '../shared/link/reconnector';
import { arrive, isCacheSuspect, tellTrouble } from '../shared/loading';
import { ShareDialog } from '../shared/share-dialog';
import { Visit, watchWaysOut } from '../shared/visit';
import { canDraw, WEBGL_OFF } from '../shared/webgl';
import { loadClient, nextEvent, standings, stats, view, type Client } from './client';
import type { ClientEvent } from './client-event';
import { giveBack, watchFocus } from './focus';
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
/** Frames come ten times a second at least. */
const SILENCE_MAX_MS = 6_000;
/** As the page says it from the beginning. */
const ROLLING_OUT = 'Rolling your plane out.';

const visit = new Visit();
const { me, store } = visit;
const sound = new Sound(store.get('sound') !== 'off');

async function load(): Promise<{ client: Client; roster: Roster; scene: Scene }> {
  const client = await loadClient(isCacheSuspect);
  const roster = new Roster(client, () => performance.now());
  const scene = await Scene.open(byId('stage'), { nameOf: (pilot) => roster.nameOf(pilot) });
  return { client, roster, scene };
}

/** One stay in the arena: input, connection, picture and HUD. */
class ArenaPage {
  private readonly input: Input;
  private readonly link: Link;
  private readonly hud: Hud;
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
    this.link = visit.connect(client, { onState: (state) => this.tell(state), draft: () => this.hud.chat.draft, silenceMaxMs: SILENCE_MAX_MS });
    this.hud = this.openHud();
    this.hud.chat.draft = visit.draft;
    new ShareDialog(visit.room, byId('share-open'), giveBack);
    watchWaysOut(() => visit.leave(client, this.link));
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
      onRename: () => visit.rename(client),
      onComeBack: () => this.link.start(),
    });
  }

  private tell(state: LinkState): void {
    const again = state.kind === 'stopped' ? state.again : undefined;
    this.hud.link.show(state.sentence, again);
    this.hud.curtain.say(state.sentence || ROLLING_OUT, again !== undefined);
  }

  private onEvent(event: ClientEvent, frame: Frame): void {
    const { client, roster, scene } = this;
    if (event.type === 'welcome') visit.welcomed(event, client, this.link);
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
setUpMute();
if (canDraw()) void arrive(load, ({ client, roster, scene }) => new ArenaPage(client, roster, scene).start());
else tellTrouble('failed', WEBGL_OFF);
