// What the room does without Colyseus: flight, guns, ramming, and who sees what.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from './field.js';
import { Interest, Thing } from './interest.js';
import { CELL, LENGTH, rulesFor } from './rules.js';

const rules = rulesFor(10);

/** A field with planes at these places (in lengths from the middle), heading east, unprotected. */
function fieldWith(places) {
  const field = new Field(rules);
  const planes = places.map(([x, y]) => {
    const plane = field.join();
    plane.spawn(rules.side / 2 + x * LENGTH, rules.side / 2 + y * LENGTH, 0, rules);
    plane.shield = 0;
    return plane;
  });
  return { field, planes };
}

function ticks(field, count) {
  for (let tick = 0; tick < count; tick += 1) field.tick();
}

test('a plane flies seven lengths a second at cruise', () => {
  const { field, planes } = fieldWith([[0, 0]]);
  const { x } = planes[0];
  ticks(field, 60);
  assert.ok(Math.abs(planes[0].x - x - 7 * LENGTH) < LENGTH / 10);
});

test('the faster, the wider it turns', () => {
  const { planes } = fieldWith([[0, 0]]);
  const rates = [4, 7, 13].map((speed) => {
    planes[0].speed = speed * 546;
    return planes[0].turnRate(rules);
  });
  assert.ok(rates[0] > rates[1] && rates[1] > rates[2]);
});

test('nobody leaves the field', () => {
  const { field, planes } = fieldWith([[39, 39]]);
  for (let tick = 0; tick < 600; tick += 1) {
    field.tick();
    assert.ok(planes[0].x >= 0 && planes[0].x < rules.side && planes[0].y >= 0 && planes[0].y < rules.side);
  }
});

test('bullets hit and are gone, and ten of them shoot down', () => {
  const { field, planes } = fieldWith([[0, 0], [4, 0]]);
  planes[0].wanted.fire = true;
  ticks(field, 30);
  assert.ok(planes[1].health < 100 && planes[1].health > 0);
  ticks(field, 90);
  assert.equal(planes[1].isFlying, false);
});

test('who was shot down flies again when it has asked', () => {
  const { field, planes } = fieldWith([[0, 0]]);
  planes[0].health = 0;
  ticks(field, 100);
  assert.equal(planes[0].isFlying, false);
  field.flyAgain(planes[0]);
  ticks(field, 31);
  assert.equal(planes[0].isFlying, true);
  assert.ok(planes[0].isShielded);
});

test('planes that touch are hurt once and reel apart', () => {
  const { field, planes } = fieldWith([[0, 0], [0, 0.5]]);
  ticks(field, 29);
  assert.deepEqual(planes.map((plane) => plane.health), [80, 80]);
  assert.ok(Math.hypot(planes[0].x - planes[1].x, planes[0].y - planes[1].y) > 0.8 * LENGTH);
});

/** A view that only remembers. */
class Remembered extends Set {
  remove(row) {
    this.delete(row);
  }
}

test('a view holds what is in the 25 cells around, wherever both go', () => {
  const interest = new Interest(10);
  const things = Array.from({ length: 50 }, (_, row) => new Thing(row, false));
  const randomCell = () => Math.floor(Math.random() * 100);
  things.forEach((thing) => interest.put(thing, randomCell()));
  const view = new Remembered();
  let eye = -1;
  for (let step = 0; step < 500; step += 1) {
    const to = randomCell();
    interest.look(view, eye, to);
    eye = to;
    interest.move(things[step % things.length], randomCell());
    const expected = things.filter(({ cell }) => interest.sees(eye, cell)).map(({ row }) => row);
    assert.deepEqual([...view].sort(), expected.sort());
  }
});

test('a place belongs to its cell', () => {
  const interest = new Interest(10);
  assert.equal(interest.cellAt(0, 0), 0);
  assert.equal(interest.cellAt(CELL * 2, CELL * 3), 32);
  assert.equal(interest.seen[0].length, 9);
  assert.equal(interest.seen[44].length, 25);
});
