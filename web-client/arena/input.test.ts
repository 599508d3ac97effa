import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BOOST, FIRE, NEUTRAL_CONTROLS, STEER_MAX } from './controls';
import { Input } from './input';
import { Thumbs } from './thumbs';
import type { TouchPad } from './touch';

/** As much of an element as the focus is asked for. */
class FakeElement extends EventTarget {
  constructor(private readonly kind: 'canvas' | 'button' | 'input') {
    super();
  }

  closest(selector: string): FakeElement | null {
    return new RegExp(`\\b${this.kind}\\b`).test(selector) ? this : null;
  }

  contains(other: unknown): boolean {
    return other === this;
  }

  blur(): void {
    page.document.activeElement = null;
  }
}

const FIRE_AT = { x: 700, y: 300, radius: 40 };
const BOOST_AT = { x: 620, y: 320, radius: 30 };

function fakePage() {
  const portrait = new EventTarget();
  const document = Object.assign(new EventTarget(), {
    hidden: false,
    activeElement: null as FakeElement | null,
    body: { contains: () => true },
    documentElement: new EventTarget(),
    querySelector: () => null,
  });
  return { window: new EventTarget(), document, portrait, canvas: new FakeElement('canvas') };
}

let page: ReturnType<typeof fakePage>;
let onLetGo: ReturnType<typeof vi.fn<() => void>>;
let input: Input;

beforeEach(() => {
  page = fakePage();
  vi.stubGlobal('addEventListener', page.window.addEventListener.bind(page.window));
  vi.stubGlobal('document', page.document);
  vi.stubGlobal('matchMedia', () => page.portrait);
  vi.stubGlobal('Element', FakeElement);
  vi.stubGlobal('HTMLElement', FakeElement);
  onLetGo = vi.fn<() => void>();
  const thumbs = new Thumbs(() => ({ fire: FIRE_AT, boost: BOOST_AT }));
  const pad = { thumbs, has: (target: unknown) => target === page.canvas, show: () => undefined, draw: () => undefined };
  input = new Input(pad as unknown as TouchPad, { onGesture: () => undefined, onLetGo });
});

afterEach(() => vi.unstubAllGlobals());

/** An event of the window that a browser would send to this target first. */
function send(type: string, properties: Record<string, unknown> = {}, target: EventTarget = page.canvas): Event {
  const event = Object.assign(new Event(type, { cancelable: true }), properties);
  Object.defineProperty(event, 'target', { value: target });
  page.window.dispatchEvent(event);
  return event;
}

const MODIFIERS = ['ctrlKey', 'altKey', 'metaKey', 'shiftKey'] as const;
type Modifiers = Partial<Record<(typeof MODIFIERS)[number], boolean>>;

function key(type: 'keydown' | 'keyup', code: string, modifiers: Modifiers & { repeat?: boolean } = {}, target?: EventTarget): Event {
  const name = code.startsWith('Meta') ? 'Meta' : code;
  return send(type, { code, key: name, ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, ...modifiers }, target);
}

function mouse(type: string, button: number, buttons: number, target?: EventTarget): void {
  send(type, { pointerType: 'mouse', pointerId: 1, button, buttons, clientX: 400, clientY: 300 }, target);
}

function touch(type: string, pointerId: number, x: number, y: number, isPrimary = false): void {
  send(type, { pointerType: 'touch', pointerId, clientX: x, clientY: y, isPrimary });
}

/** The plane is under the mouse, so that the mouse alone never steers. */
const wanted = () => ({ ...input.update(performance.now() + 1_000, 400, 300) });

/** Everything there is to hold, in all three ways. */
function holdAll(): void {
  for (const code of ['KeyA', 'KeyW', 'Space', 'ShiftLeft']) key('keydown', code, { shiftKey: true });
  mouse('pointerdown', 0, 1);
  mouse('pointermove', 2, 3);
  touch('pointerdown', 11, 100, 100, true);
  touch('pointermove', 11, 200, 100);
  touch('pointerdown', 12, FIRE_AT.x, FIRE_AT.y);
  expect(wanted()).toMatchObject({ mode: 'towards', fire: true, boost: true, throttle: 2 });
}

describe('keys', () => {
  it.each(MODIFIERS)('a release counts under %s, a press is a shortcut of the browser (but for shift)', (modifier) => {
    key('keydown', 'KeyD');
    key('keyup', 'KeyD', { [modifier]: true });
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    const press = key('keydown', 'KeyD', { [modifier]: true });
    expect(wanted().steer).toBe(modifier === 'shiftKey' ? STEER_MAX : 0);
    expect(press.defaultPrevented).toBe(modifier === 'shiftKey');
  });

  it.each(['keydown', 'keyup'] as const)('%s of Meta lets go of all keys', (type) => {
    key('keydown', 'KeyD');
    key(type, 'MetaLeft', { metaKey: type === 'keydown' });
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('what repeats after everything was let go needs a press of its own', () => {
    key('keydown', 'KeyD');
    send('contextmenu', {}, new FakeElement('button'));
    key('keydown', 'KeyD', { repeat: true });
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('one of two shifts that was let go unheard does not boost on', () => {
    key('keydown', 'ShiftLeft', { shiftKey: true });
    key('keydown', 'ShiftRight', { shiftKey: true });
    key('keyup', 'ShiftRight');
    key('keydown', 'KeyD');
    expect(wanted().boost).toBe(false);
  });

  it('a focused button has Space and Enter, the plane the others; a field has all, but for releases', () => {
    const [button, field] = [new FakeElement('button'), new FakeElement('input')];
    expect(key('keydown', 'Space', {}, button).defaultPrevented).toBe(false);
    key('keydown', 'KeyD', {}, button);
    expect(wanted()).toMatchObject({ fire: false, steer: STEER_MAX });
    key('keyup', 'KeyD', {}, field);
    expect(key('keydown', 'KeyA', {}, field).defaultPrevented).toBe(false);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });
});

describe('everything is let go, and that is said at once', () => {
  it.each<[string, () => unknown]>([
    ['when the window loses the keys', () => page.window.dispatchEvent(new Event('blur'))],
    ['when the page is hidden', () => page.document.dispatchEvent((page.document.hidden = true) && new Event('visibilitychange'))],
    ['when the page goes away', () => page.window.dispatchEvent(new Event('pagehide'))],
    ['when the page is frozen', () => page.document.dispatchEvent(new Event('freeze'))],
    ['when it fills the screen, or no longer', () => page.document.dispatchEvent(new Event('fullscreenchange'))],
    ['when the phone is turned round', () => page.portrait.dispatchEvent(new Event('change'))],
    ['when a menu opens', () => send('contextmenu', {}, new FakeElement('button'))],
    ['when something is dragged', () => send('dragstart', {}, new FakeElement('button'))],
    ['when a field takes the keys', () => send('focusin', {}, new FakeElement('input'))],
  ])('%s', (_name, leave) => {
    holdAll();
    leave();
    expect(onLetGo).toHaveBeenCalledOnce();
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    // Back, with the hands still where they were.
    Object.assign(page.document, { hidden: false });
    page.window.dispatchEvent(new Event('focus'));
    mouse('pointermove', -1, 3);
    touch('pointermove', 11, 210, 100);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('nothing is taken while another window has the keys', () => {
    page.window.dispatchEvent(new Event('blur'));
    send('pointermove', { pointerType: 'mouse', button: -1, buttons: 0, clientX: 10, clientY: 10 });
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    page.window.dispatchEvent(new Event('focus'));
    send('pointermove', { pointerType: 'mouse', button: -1, buttons: 0, clientX: 30, clientY: 10 });
    expect(wanted().mode).toBe('towards');
  });

  it('a press on the field takes the keys from a text', () => {
    page.document.activeElement = new FakeElement('input');
    touch('pointerdown', 11, 100, 100, true);
    touch('pointermove', 11, 200, 100);
    expect(wanted()).toMatchObject({ mode: 'towards', throttle: 2 });
  });
});

describe('the mouse', () => {
  it.each(['pointerup', 'pointermove', 'pointercancel', 'lostpointercapture'])('%s without buttons ends what they held', (type) => {
    mouse('pointerdown', 0, 1);
    mouse('pointermove', 2, 3);
    expect(wanted()).toMatchObject({ fire: true, boost: true });
    mouse(type, -1, 0);
    expect(wanted()).toMatchObject({ fire: false, boost: false });
  });

  it.each([[1, true], [0, false]])('out of the window it presses nothing; back with buttons %i, what it still holds', (buttons, fire) => {
    mouse('pointerdown', 0, 1);
    page.document.documentElement.dispatchEvent(Object.assign(new Event('pointerleave'), { pointerType: 'mouse' }));
    expect(wanted().fire).toBe(false);
    mouse('pointermove', -1, buttons);
    expect(wanted().fire).toBe(fire);
  });
});

describe('hands at random', () => {
  const CODES = ['KeyA', 'ArrowLeft', 'KeyD', 'ArrowRight', 'KeyW', 'ArrowUp', 'KeyS', 'Space', 'ShiftLeft', 'ShiftRight', 'ControlLeft', 'AltLeft', 'MetaLeft'];
  const FLAGS: Record<string, (typeof MODIFIERS)[number]> = { ControlLeft: 'ctrlKey', AltLeft: 'altKey', MetaLeft: 'metaKey', ShiftLeft: 'shiftKey', ShiftRight: 'shiftKey' };
  const GAMES = 200;
  const MOVES = 60;

  /** Real hands before a browser that loses events as browsers do; what is down is known for sure. */
  class Player {
    readonly keys = new Set<string>();
    readonly touches = new Set<number>();
    buttons = 0;
    private nextTouch = 10;

    constructor(private readonly random: () => number) {}

    act(): void {
      const acts = [this.pressKey, this.releaseKey, this.pressButton, this.releaseButton, this.touch, this.slide, this.lift, this.leave];
      this.pick(acts).call(this);
    }

    stop(): void {
      while (this.keys.size > 0) this.releaseKey();
      while (this.buttons !== 0) this.releaseButton();
      while (this.touches.size > 0) this.lift();
      expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    }

    get isIdle(): boolean {
      return this.keys.size === 0 && this.buttons === 0 && this.touches.size === 0;
    }

    private pick<T>(from: readonly T[]): T {
      return from[Math.floor(this.random() * from.length)] as T;
    }

    private modifiers(): Modifiers {
      return Object.fromEntries([...this.keys].filter((code) => code in FLAGS).map((code) => [FLAGS[code], true]));
    }

    private pressKey(): void {
      const code = this.pick(CODES);
      const repeat = this.keys.has(code);
      this.keys.add(code);
      key('keydown', code, { ...this.modifiers(), repeat });
    }

    private releaseKey(): void {
      const code = this.pick([...this.keys, 'KeyA']);
      this.keys.delete(code);
      // macOS tells of no release while Meta is down.
      if (!this.keys.has('MetaLeft')) key('keyup', code, this.modifiers());
    }

    private pressButton(): void {
      const [button, bit] = this.pick([[0, FIRE], [2, BOOST], [1, 4]] as const);
      if ((this.buttons & bit) !== 0) return;
      const type = this.buttons === 0 ? 'pointerdown' : 'pointermove';
      this.buttons |= bit;
      mouse(type, button, this.buttons);
    }

    private releaseButton(): void {
      const [button, bit] = this.pick([[0, FIRE], [2, BOOST], [1, 4]] as const);
      if ((this.buttons & bit) === 0) return;
      this.buttons &= ~bit;
      mouse(this.buttons === 0 ? 'pointerup' : 'pointermove', button, this.buttons, this.pick([page.canvas, new FakeElement('button')]));
    }

    private touch(): void {
      const at = this.pick([{ x: 80, y: 300 }, FIRE_AT, BOOST_AT]);
      touch('pointerdown', this.nextTouch, at.x, at.y, this.touches.size === 0);
      this.touches.add(this.nextTouch);
      this.nextTouch += 1;
    }

    private slide(): void {
      for (const id of this.touches) touch('pointermove', id, this.random() * 800, this.random() * 400);
    }

    private lift(): void {
      const id = this.pick([...this.touches, 0]);
      if (this.touches.delete(id)) touch(this.pick(['pointerup', 'pointercancel']), id, 0, 0);
    }

    /** Somewhere else for a while, where hands do what nobody hears of. */
    private leave(): void {
      if (this.random() < 0.7) return;
      page.window.dispatchEvent(new Event('blur'));
      expect(wanted()).toEqual(NEUTRAL_CONTROLS);
      if (this.random() < 0.5) this.keys.clear();
      if (this.random() < 0.5) this.touches.clear();
      if (this.random() < 0.5) this.buttons = 0;
      page.window.dispatchEvent(new Event('focus'));
      mouse('pointermove', -1, this.buttons);
    }
  }

  it('with nothing held the plane flies straight on, whatever came before', () => {
    for (let seed = 1; seed <= GAMES; seed += 1) {
      const player = new Player(mulberry(seed));
      for (let move = 0; move < MOVES; move += 1) {
        player.act();
        if (player.isIdle) expect(wanted(), `seed ${seed}, move ${move}`).toEqual(NEUTRAL_CONTROLS);
      }
      player.stop();
    }
  });
});

/** A small generator, so that a failure names its seed. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
