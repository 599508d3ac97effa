// The arena page: puts the parts together and arrives.
//
// Path of a frame: client → frame → hands → happenings → picture and HUD → what is due goes out. Only this file knows
// all parts; views and HUD know frames and callbacks.
import { byId } from '../shared/dom';
import { join, JoinError } from '../shared/join';
import { loadMe, parseArrival, saveMe } from '../shared/me';
import { longStore, tabStore } from '../shared/store';
import { loadClient, look, nextHappening, standings, stats, type Client } from './client';
import type { Frame } from './frame';
import type { Happening } from './happening';
import { Hud } from './hud/hud';
import { Input } from './input';
import { run } from './loop';
import { Link, type LinkState } from './net';
import { Roster } from './roster';
import { Sound } from './sound';
import { expose } from './surface';
import { TouchPad } from './touch';
import { Scene } from './view/scene';

const SLOW_UPDATE_MS = 500;
const HIDDEN_DRAIN_MS = 1_000;
/** In the fragment: this page was already reloaded for a newer version. */
const RELOADED = 'reloaded';

const store = longStore();
const tab = tabStore();
const path = location.pathname.replace(/\/$/, '');
const resumeKey = `resume:${path}`;
const arrival = parseArrival(location.hash);
const hasReloaded = location.hash.includes(RELOADED);
history.replaceState(null, '', location.pathname + location.search);

const me = loadMe(store);
me.name = arrival.name ?? me.name;
me.hue = arrival.hue ?? me.hue;

const sound = new Sound(store.get('sound') !== 'off');

function fail(sentence: string): void {
  byId('curtain-text').textContent = sentence;
}

async function arrive(): Promise<void> {
  const client = await loadClient().catch(() => undefined);
  if (client === undefined) return fail('This browser could not load the game. Try a newer one.');
  const roster = new Roster(client, () => performance.now());
  const scene = await Scene.open(byId('stage'), { nameOf: (pilot) => roster.nameOf(pilot) }).catch(() => undefined);
  if (scene === undefined) return fail('This browser cannot draw the sky, because WebGL is off. Turn on graphics acceleration and reload.');
  fly(client, roster, scene);
}

function fly(client: Client, roster: Roster, scene: Scene): void {
  const unlock = (): void => sound.unlock();
  const input = new Input(scene.stage.canvas, new TouchPad(scene.stage.canvas, unlock), unlock);
  let isTyping = false;
  let isTokenRefused = false;
  let comesFromLobby = arrival.ticket !== undefined;
  let rtt = 0;
  let slowAt = 0;

  const resumeToken = (): string | undefined => (isTokenRefused ? undefined : (client.resume_token() ?? tab.get(resumeKey)));

  const link = new Link(
    {
      url: Object.assign(new URL(path, location.href), { protocol: location.protocol === 'https:' ? 'wss:' : 'ws:', hash: '' }).href,
      wire: client,
      hello: (ticket) => client.hello(me.name, me.hue, ticket, resumeToken()),
      hasResume: () => resumeToken() !== undefined,
      askTicket: () => {
        // A refused ticket and a refused token look alike: come as somebody new.
        isTokenRefused = true;
        return askTicket();
      },
      onState: (state) => tell(state),
      reload: reloadOnce,
      hasReloaded,
      now: () => performance.now(),
    },
    arrival.ticket,
  );

  const hud = new Hud({
    me,
    pilot: () => client.pilot(),
    hueOf: (pilot) => roster.hueOf(pilot),
    lastNameOf: (pilot) => roster.lastNameOf(pilot),
    onSay: (text) => client.chat(text),
    onTyping: (typing) => {
      isTyping = typing;
      if (typing) input.release();
    },
    onFlyAgain: () => client.fly_again(),
    onRename: () => {
      saveMe(store, me);
      client.rename(me.name, me.hue);
    },
    onComeBack: () => link.start(),
    onLeave: () => {
      client.leave();
      link.leave();
      tab.remove(resumeKey);
    },
  });

  function tell(state: LinkState): void {
    hud.link.show(state.sentence, state.kind === 'stopped');
    if (state.sentence !== '') hud.curtain.say(state.sentence);
  }

  function welcome(happening: Extract<Happening, { type: 'welcome' }>): void {
    // Resumed after a turn in the lobby: what was chosen there counts, not what the session still knows.
    if (happening.resumed && comesFromLobby && happening.name !== me.name) client.rename(me.name, me.hue);
    else Object.assign(me, { name: happening.name, hue: happening.hue });
    comesFromLobby = false;
    saveMe(store, me);
    const token = client.resume_token();
    if (token !== undefined) tab.set(resumeKey, token);
    isTokenRefused = false;
    link.welcomed();
  }

  function happen(happening: Happening, frame: Frame): void {
    if (happening.type === 'welcome') welcome(happening);
    else if (happening.type === 'chat') {
      roster.learn(happening.pilot, happening.name);
      sound.radio();
    } else if (happening.type === 'shot') sound.shot(frame, happening.x, happening.y);
    else if (happening.type === 'hit') {
      scene.hit(happening.x, happening.y, happening.pilot === client.pilot());
      sound.hit(frame, happening.x, happening.y);
    } else if (happening.type === 'explosion') {
      scene.explode(happening.x, happening.y, roster.hueOf(happening.pilot));
      sound.explosion(frame, happening.x, happening.y);
    }
    hud.happen(happening);
    if (happening.type === 'joined') roster.learn(happening.pilot, happening.name);
  }

  function drain(frame: Frame): void {
    for (let next = nextHappening(client); next !== undefined; next = nextHappening(client)) happen(next, frame);
  }

  function steer(frame: Frame): void {
    const { wanted } = input;
    input.update(frame.now, scene.stage.ownX, scene.stage.ownY);
    if (isTyping) client.control(0, 1, false, false);
    else if (wanted.mode === 'towards') client.control_towards(wanted.angle, wanted.throttle, wanted.boost, wanted.fire);
    else client.control(wanted.steer, wanted.throttle, wanted.boost, wanted.fire);
  }

  const densities = (): Uint8Array => client.minimap();
  const { frame, pace } = run({
    look: (now, frame) => look(client, now, frame),
    steer,
    happen: drain,
    draw: (frame) => scene.draw(frame),
    tend: (frame) => {
      hud.update(frame, densities, client.field_cells());
      sound.hum(frame);
      if (frame.now - slowAt < SLOW_UPDATE_MS) return;
      slowAt = frame.now;
      const quality = stats(client);
      rtt = quality.rtt_ms;
      hud.slowUpdate(standings(client), quality, pace.fps);
    },
    flush: () => link.flush(),
  });
  // A hidden page draws nothing, yet what happens must not pile up.
  setInterval(() => {
    if (document.hidden) drain(frame);
  }, HIDDEN_DRAIN_MS);
  expose(frame, pace, { pilot: () => client.pilot(), name: () => me.name, rtt: () => rtt });
  link.start();
}

async function askTicket(): Promise<string> {
  const [, , instance = '', room = 'arena'] = path.split('/');
  try {
    return (await join({ instance, room })).ticket;
  } catch (error) {
    throw new Error(error instanceof JoinError ? error.message : 'The lobby could not find you a place. Trying again.');
  }
}

function reloadOnce(): void {
  history.replaceState(null, '', `${location.pathname}#${RELOADED}`);
  location.reload();
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

/** A clicked button gives the keys back to the plane; one reached by keyboard keeps them. */
document.addEventListener('click', (event) => {
  if (event.detail > 0 && event.target instanceof Element) event.target.closest<HTMLElement>('button')?.blur();
});
document.addEventListener('visibilitychange', () => sound.rest(document.hidden));
setUpMute();
void arrive();
