// The lobby page: board, pilot and the one big button.
//
// Path: the feed tells the board; a choice fills the button; flying asks for a place and leaves for its address.
import { byId, setText } from '../shared/dom';
import { hueChooser, planeIcon } from '../shared/hue-chooser';
import { join, JoinError } from '../shared/join';
import { tidyCallSign } from '../shared/callsigns';
import { arrivalFragment, loadMe, saveMe } from '../shared/me';
import { hueOf } from '../shared/palette';
import { longStore } from '../shared/store';
import { Board } from './board';
import { followDepartures } from './feed';
import { measure } from './ping';
import { fieldPath, isFlyable, withMeasured, type Departures, type Server } from './servers';

const CLOCK_INTERVAL_MS = 100;
const MEASURE_AFTER_MS = 400;

const store = longStore();
const me = loadMe(store);
const flyButton = byId<HTMLButtonElement>('fly');
const nameField = byId<HTMLInputElement>('name');
const trouble = byId('trouble');
const measured = new Map<string, number>();
const asked = new Set<string>();
let departures: Departures = { you: { region: null }, servers: [] };
let leaving: { server: Server; since: number } | undefined;

const board = new Board(byId('board'), label, () => void fly());

function label(server: Server | undefined): void {
  if (leaving !== undefined) return;
  flyButton.disabled = server === undefined || !isFlyable(server);
  setText(flyButton, 'Fly');
  flyButton.setAttribute('aria-label', server === undefined ? 'Fly' : `Fly from ${server.place}`);
}

function show(): void {
  if (leaving === undefined) board.show(withMeasured(departures.servers, measured), performance.now());
}

function onNews(news: Departures): void {
  announce(departures, news);
  departures = news;
  const here = news.you.region === null ? undefined : news.servers.find((server) => server.region === news.you.region);
  setText(byId('here'), here === undefined ? '' : `You are near ${here.place}`);
  show();
  setTimeout(measureReady, MEASURE_AFTER_MS);
}

/** The feed takes back only its own sentence, never one about a join. */
let feedTrouble = '';
function onFeedTrouble(sentence: string): void {
  if (sentence !== '' || trouble.textContent === feedTrouble) setText(trouble, sentence);
  feedTrouble = sentence;
}

/** One after another, so that measurements do not disturb each other; each ready machine once. */
let measuring: Promise<void> = Promise.resolve();
function measureReady(): void {
  for (const { instance, status } of departures.servers) {
    if (status !== 'ready' || asked.has(instance)) continue;
    asked.add(instance);
    measuring = measuring.then(async () => {
      const ms = await measure(instance);
      if (ms === undefined) return;
      measured.set(instance, ms);
      show();
    });
  }
}

async function fly(): Promise<void> {
  const server = board.selected;
  if (leaving !== undefined || server === undefined) return;
  if (!isFlyable(server)) {
    setText(trouble, server.status === 'full' ? `${server.place} is full. Pick another field.` : `${server.place} cannot be reached right now. Pick another field.`);
    return;
  }
  rememberMe();
  setText(trouble, '');
  leaving = { server, since: performance.now() };
  flyButton.disabled = true;
  flyButton.setAttribute('aria-busy', 'true');
  if (server.status !== 'ready') {
    board.markWaking(server.instance, leaving.since);
    setText(byId('news'), `Waking ${server.place}.`);
  }
  try {
    const place = await join({ instance: server.instance, room: 'arena' });
    location.assign(place.path + arrivalFragment(place.ticket, me, store.lasts));
  } catch (error) {
    stay();
    setText(trouble, error instanceof JoinError ? error.message : 'Something went wrong on this page. Try again.');
  }
}

function stay(): void {
  leaving = undefined;
  flyButton.removeAttribute('aria-busy');
  show();
}

function clock(): void {
  const now = performance.now();
  board.tick(now);
  if (leaving === undefined) return;
  const seconds = ((now - leaving.since) / 1000).toFixed(1);
  setText(flyButton, leaving.server.status === 'ready' ? 'Rolling out' : `Waking ${seconds} s`);
}

function rememberMe(): void {
  me.name = tidyCallSign(nameField.value) || me.name;
  nameField.value = me.name;
  saveMe(store, me);
}

/** What changed, for those who cannot see the board flip. */
function announce(before: Departures, after: Departures): void {
  const old = new Map(before.servers.map((server) => [server.instance, server.status]));
  const changes = after.servers
    .filter(({ instance, status }) => old.has(instance) && old.get(instance) !== status)
    .map(({ place, status }) => `${place} is ${status}.`);
  if (changes.length > 0) setText(byId('news'), changes.join(' '));
}

function goByLink(event: SubmitEvent): void {
  event.preventDefault();
  const path = fieldPath(byId<HTMLInputElement>('link').value, location.origin);
  if (path === undefined) {
    setText(trouble, 'That is not a link to a field here. It should look like this page’s address with /gameserver/ in it.');
    return;
  }
  rememberMe();
  const fields = new URLSearchParams({ n: me.name, h: String(me.hue) });
  location.assign(store.lasts ? path : `${path}#${fields.toString()}`);
}

function drawPlane(): void {
  const flyby = document.querySelector('.flyby');
  flyby?.replaceChildren(...planeIcon(hueOf(me.hue)).childNodes);
}

nameField.value = me.name;
nameField.addEventListener('change', rememberMe);
hueChooser(byId('hues'), me.hue, (hue) => {
  me.hue = hue;
  rememberMe();
  drawPlane();
});
drawPlane();

byId('pilot').addEventListener('submit', (event) => {
  event.preventDefault();
  void fly();
});
byId('have-link').addEventListener('click', () => {
  const form = byId('link-form');
  form.hidden = !form.hidden;
  byId('have-link').setAttribute('aria-expanded', String(!form.hidden));
  if (!form.hidden) byId('link').focus();
});
byId('link-form').addEventListener('submit', goByLink);
// Wherever nothing else wants them, arrows choose and Enter flies.
document.addEventListener('keydown', (event) => {
  if (event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === 'Enter') void fly();
  else board.onArrow(event);
});
// Coming back with the browser's back button finds the page as it was left.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) stay();
});
setInterval(clock, CLOCK_INTERVAL_MS);
followDepartures(onNews, onFeedTrouble);
