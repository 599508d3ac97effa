import { describe, expect, it } from 'vitest';
import { BOOST, FIRE, NEUTRAL_CONTROLS, STEER_MAX } from './controls';
import { InputState } from './input-state';
import { STICK_RADIUS_PX, Thumbs } from './thumbs';

const FIRE_AT = { x: 700, y: 300, radius: 42 };
const BOOST_AT = { x: 620, y: 326, radius: 32 };
/** Long enough that a turn is no tap. */
const LATER = 1_000;
const STICK = 1;
const TRIGGER = 2;

function setUp() {
  const state = new InputState(new Thumbs(() => ({ fire: FIRE_AT, boost: BOOST_AT })));
  const mouse = (buttons: number, pressed = 0, at: { x?: number; y?: number; isOnField?: boolean } = {}): void =>
    state.mouse({ x: 0, y: 0, isOnField: true, ...at, buttons, pressed });
  return { state, mouse, wanted: () => state.update(LATER, 400, 200) };
}

/** A stick pushed to the right, by this share of its way. */
function pushed(share: number) {
  const all = setUp();
  all.state.thumbDown(STICK, 100, 200, true);
  all.state.thumbs.move(STICK, 100 + share * STICK_RADIUS_PX, 200);
  return all;
}

describe('keys', () => {
  it('two keys for one action count separately', () => {
    const { state, wanted } = setUp();
    state.keyDown('KeyA', 0);
    state.keyDown('ArrowLeft', 0);
    state.keyUp('KeyA');
    expect(wanted().steer).toBe(-STEER_MAX);
    state.keyUp('ArrowLeft');
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('a second key for the same turn does not begin it anew', () => {
    const { state, wanted } = setUp();
    state.keyDown('KeyA', 0);
    state.keyDown('ArrowLeft', LATER);
    expect(wanted().steer).toBe(-STEER_MAX);
  });

  it('both directions cancel out, and the one that stays goes on', () => {
    const { state, wanted } = setUp();
    state.keyDown('KeyA', 0);
    state.keyDown('ArrowRight', 0);
    expect(wanted().steer).toBe(0);
    state.keyUp('KeyA');
    expect(wanted().steer).toBe(STEER_MAX);
  });
});

describe('the mouse', () => {
  it.each([
    ['left then right', [[1, 1], [3, 2], [2, 0], [0, 0]]],
    ['right then left', [[2, 2], [3, 1], [1, 0], [0, 0]]],
    ['both released at once, unheard until the next move', [[1, 1], [3, 2], [0, 0]]],
  ] as const)('%s: what is pressed is what its buttons say', (_name, words) => {
    const { mouse, wanted } = setUp();
    for (const [buttons, pressed] of words) {
      mouse(buttons, pressed);
      expect([wanted().fire, wanted().boost]).toEqual([(buttons & FIRE) !== 0, (buttons & BOOST) !== 0]);
    }
  });

  it('does not shoot by a button that went down elsewhere', () => {
    const { mouse, wanted } = setUp();
    mouse(FIRE, FIRE, { isOnField: false });
    mouse(FIRE);
    expect(wanted().fire).toBe(false);
  });

  it('shoots on when it slides over a tool, until it is let go there', () => {
    const { mouse, wanted } = setUp();
    mouse(FIRE, FIRE);
    mouse(FIRE, 0, { isOnField: false });
    expect(wanted().fire).toBe(true);
    mouse(0, 0, { isOnField: false });
    expect(wanted().fire).toBe(false);
  });

  it('steers again after everything was let go only when it moves', () => {
    const { state, mouse, wanted } = setUp();
    mouse(0, 0, { x: 100, y: 200 });
    expect(wanted().mode).toBe('towards');
    state.letGo();
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    mouse(0, 0, { x: 100, y: 220 });
    expect(wanted().mode).toBe('towards');
  });
});

describe('thumbs', () => {
  it.each([[0.25, 0], [0.6, 1], [1, 2], [3, 2]])('a stick pushed by %f of its way is throttle %i', (share, throttle) => {
    const { wanted } = pushed(share);
    expect(wanted()).toMatchObject({ mode: 'towards', angle: 0, throttle });
  });

  it('a thumb that only rests wishes for nothing, and one that comes back slows down on the same course', () => {
    const { state, wanted } = pushed(0.05);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    state.thumbs.move(STICK, 100, 200 + STICK_RADIUS_PX);
    state.thumbs.move(STICK, 100, 200);
    expect(wanted()).toMatchObject({ mode: 'towards', angle: Math.PI / 2, throttle: 0 });
    state.thumbs.up(STICK);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it.each([
    ['fire', FIRE_AT, BOOST_AT],
    ['boost', BOOST_AT, FIRE_AT],
  ] as const)('one that slides from %s to the other presses both, and back only the first', (name, from, to) => {
    const { state, wanted } = pushed(1);
    state.thumbDown(TRIGGER, from.x, from.y, false);
    expect([wanted().fire, wanted().boost]).toEqual([name === 'fire', name === 'boost']);
    state.thumbs.move(TRIGGER, to.x, to.y);
    expect(wanted()).toMatchObject({ fire: true, boost: true, throttle: 2, mode: 'towards' });
    state.thumbs.move(TRIGGER, from.x, from.y);
    expect([wanted().fire, wanted().boost]).toEqual([name === 'fire', name === 'boost']);
    state.thumbs.up(TRIGGER);
    expect([wanted().fire, wanted().boost]).toEqual([false, false]);
  });

  it('one that slides off keeps its button until it is lifted, and never becomes the stick', () => {
    const { state, wanted } = setUp();
    state.thumbDown(TRIGGER, FIRE_AT.x, FIRE_AT.y, true);
    state.thumbs.move(TRIGGER, 100, 100);
    expect(wanted()).toMatchObject({ fire: true, boost: false, mode: 'steer' });
    state.thumbs.up(TRIGGER);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('one between the buttons presses both', () => {
    const { state, wanted } = setUp();
    state.thumbDown(TRIGGER, 655, 314, true);
    expect(wanted()).toMatchObject({ fire: true, boost: true });
  });

  it('a touch that is alone on the glass ends those whose end was never heard', () => {
    const { state, wanted } = pushed(1);
    state.thumbDown(TRIGGER, FIRE_AT.x, FIRE_AT.y, false);
    state.thumbDown(7, 300, 100, true);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
    state.thumbs.move(STICK, 0, 0);
    expect(wanted()).toEqual(NEUTRAL_CONTROLS);
  });

  it('buttons that are not shown are nowhere', () => {
    const hidden = { x: 0, y: 0, radius: 0 };
    const thumbs = new Thumbs(() => ({ fire: hidden, boost: hidden }));
    thumbs.down(STICK, 4, 4, true);
    expect(thumbs.pressed).toBe(0);
    expect(thumbs.stick).toBeDefined();
  });
});
