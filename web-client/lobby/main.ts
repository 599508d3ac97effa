// The lobby page: board, kind of room, name and the one big button.
//
// Path: the feed tells the board; a choice fills the button; going (`departure.ts`) asks to be let in and leaves for the room.
// Never: knows a kind of room; what there is, the feed tells.
import { byId, setText } from '../shared/dom';
import { NAME_MAX_BYTES } from '../shared/generated/protocol';
import { hueChooser, planeIcon } from '../shared/hue-chooser';
import { tidyCallSign } from '../shared/callsigns';
import { settle } from '../shared/loading';
import { loadMe, parseArrival, saveMe } from '../shared/me';
import { hueOf } from '../shared/palette';
import { longStore } from '../shared/store';
import { canDraw, WEBGL_OFF } from '../shared/webgl';
import { Board } from './board';
import { Departure, type Way } from './departure';
import { followDepartures } from './feed';
import { KindChooser } from './kind-chooser';
import { measure } from './ping';
import { isOpen, kindOf, regionsFor, roomPath, withMeasured, type Departures, type Kind, type Region } from './regions';

const CLOCK_INTERVAL_MS = 100;
const MEASURE_AFTER_MS = 400;
/** In the fragment: somebody whose room is gone wants a new one. */
const WANTS_NEW = '#new';

const store = longStore();
const me = loadMe(store);
const goButton = byId<HTMLButtonElement>('go');
const nameField = byId<HTMLInputElement>('name');
const trouble = byId('trouble');
/** Round trips by region. */
const measured = new Map<string, number>();
/** Machines that were measured, or could not be. */
const asked = new Set<string>();
let departures: Departures = { you: { region: null }, stale: false, kinds: [], regions: [] };

const board = new Board(byId('board'), label, () => void go());
const chooser = new KindChooser(byId('kinds'), (word) => {
  store.set('kind', word);
  label(board.selected);
  show();
});
const departure = new Departure({
  me,
  storeLasts: store.lasts,
  onStage: (region) => board.markWaking(region, performance.now()),
  onStay: () => {
    label(board.selected);
    show();
  },
  onAccept: (region) => {
    board.choose(region);
    void go();
  },
});

function label(region: Region | undefined): void {
  if (departure.isUnderWay) return;
  goButton.disabled = region === undefined || !isOpen(region);
  setText(goButton, 'Go');
  goButton.setAttribute('aria-label', region === undefined ? 'Go' : `Go: ${kind()?.title ?? ''} in ${region.place}`);
}

/** What is wanted, as it was the last time. */
function kind(): Kind | undefined {
  return kindOf(departures, store.get('kind'));
}

function show(): void {
  const wanted = kind();
  if (departure.isUnderWay || wanted === undefined) return;
  chooser.show(departures.kinds, wanted.word);
  board.show(withMeasured(regionsFor(wanted.word, departures), measured), performance.now());
}

function onNews(news: Departures): void {
  announce(departures, news);
  departures = news;
  const here = news.regions.find((region) => region.region === news.you.region);
  setText(byId('here'), here === undefined ? '' : `You are near ${here.place}`);
  setText(byId('stale'), news.stale ? 'Fly gives no news right now. This is what it said last.' : '');
  show();
  setTimeout(measureUp, MEASURE_AFTER_MS);
}

/** The feed takes back only its own sentence, never one about a join. */
let feedTrouble = '';
function onFeedTrouble(sentence: string): void {
  if (sentence !== '' || trouble.textContent === feedTrouble) setText(trouble, sentence);
  feedTrouble = sentence;
}

/** One after another, so that measurements do not disturb each other; each machine once. */
let measuring: Promise<void> = Promise.resolve();
function measureUp(): void {
  for (const { region, probe } of departures.regions) {
    if (probe === null || asked.has(probe)) continue;
    asked.add(probe);
    measuring = measuring.then(async () => {
      const ms = await measure(probe);
      if (ms === undefined) return;
      measured.set(region, ms);
      show();
    });
  }
}

async function go(way: Way = 'public'): Promise<void> {
  const [region, wanted] = [board.selected, kind()];
  if (departure.isUnderWay || region === undefined || wanted === undefined) return;
  if (way !== 'watch' && !isOpen(region)) {
    setText(trouble, region.status === 'full' ? `${region.place} is full. Pick another place.` : `${region.place} cannot be reached right now. Pick another place.`);
    return;
  }
  // Nothing is woken for who could not see it.
  if (wanted.webgl && !canDraw()) return setText(trouble, WEBGL_OFF);
  rememberMe();
  await departure.leave(region, wanted.word, way);
}

function rememberMe(): void {
  me.name = tidyCallSign(nameField.value) || me.name;
  nameField.value = me.name;
  saveMe(store, me);
}

/** What changed, for those who cannot see the board flip. */
function announce(before: Departures, after: Departures): void {
  const word = kind()?.word ?? '';
  const old = new Map(regionsFor(word, before).map((region) => [region.region, region.status]));
  const changes = regionsFor(word, after)
    .filter(({ region, status }) => old.has(region) && old.get(region) !== status)
    .map(({ place, status }) => `${place} is ${status === 'up' ? 'ready' : status}.`);
  if (changes.length > 0) setText(byId('news'), changes.join(' '));
}

function goByLink(event: SubmitEvent): void {
  event.preventDefault();
  const link = byId<HTMLInputElement>('link').value;
  const path = roomPath(link, location.origin);
  if (path === undefined) {
    setText(trouble, 'That is not a link to a room here. It should look like this page’s address with /gameserver/ in it.');
    return;
  }
  rememberMe();
  const fields = new URLSearchParams(store.lasts ? {} : { n: me.name, h: String(me.hue) });
  const { host } = parseArrival(new URL(link.trim(), location.origin).hash);
  if (host !== undefined) fields.set('host', host);
  location.assign(fields.size === 0 ? path : `${path}#${fields.toString()}`);
}

function drawPlane(): void {
  const flyby = document.querySelector('.flyby');
  flyby?.replaceChildren(...planeIcon(hueOf(me.hue)).childNodes);
}

/** Somebody comes from the page of a room that is gone. */
function offerNew(): void {
  if (location.hash !== WANTS_NEW) return;
  setText(byId('progress-text'), 'Choose a place, then create a private room. Its address is the link for your friends.');
  byId('private').focus();
}

nameField.maxLength = NAME_MAX_BYTES;
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
  void go();
});
byId('private').addEventListener('click', () => void go('private'));
byId('watch').addEventListener('click', () => void go('watch'));
byId('have-link').addEventListener('click', () => {
  const form = byId('link-form');
  form.hidden = !form.hidden;
  byId('have-link').setAttribute('aria-expanded', String(!form.hidden));
  if (!form.hidden) byId('link').focus();
});
byId('link-form').addEventListener('submit', goByLink);
// Wherever nothing else wants them, arrows choose and Enter goes.
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') departure.stop();
  if (event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === 'Enter') void go();
  else board.onArrow(event);
});
// Coming back with the browser's back button finds the page as it was left.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) departure.stay();
});
setInterval(() => {
  board.tick(performance.now());
  departure.tick(performance.now());
}, CLOCK_INTERVAL_MS);
offerNew();
settle(location.pathname + location.search);
byId('boot').remove();
followDepartures(onNews, onFeedTrouble);
