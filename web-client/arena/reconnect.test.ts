import { describe, expect, it } from 'vitest';
import { afterClose, backoffMs, CLOSE } from './reconnect';

const lost = { code: 1006, reason: '', attempt: 0, hasReloaded: false };

describe('after the socket is gone', () => {
  it('comes back by itself, waiting 0.25 s to 4 s', () => {
    const longest = [0, 1, 2, 3, 4, 5, 20].map((attempt) => backoffMs(attempt, () => 1));
    expect(longest).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000]);
    expect(backoffMs(0, () => 0)).toBe(125);
    expect(afterClose(lost, () => 1)).toMatchObject({ do: 'retry', delayMs: 250 });
  });

  it('asks for a new ticket when the old one is refused, at once the first time', () => {
    expect(afterClose({ ...lost, code: CLOSE.badTicket })).toMatchObject({ do: 'ticket', delayMs: 0 });
    expect(afterClose({ ...lost, code: CLOSE.badTicket, attempt: 3 }, () => 1)).toMatchObject({ do: 'ticket', delayMs: 2000 });
  });

  it('reloads for a newer version once and never again', () => {
    expect(afterClose({ ...lost, code: CLOSE.versionMismatch })).toEqual({ do: 'reload' });
    expect(afterClose({ ...lost, code: CLOSE.versionMismatch, hasReloaded: true }).do).toBe('stop');
  });

  it('leaves the field to the newer window', () => {
    expect(afterClose({ ...lost, code: CLOSE.replaced })).toEqual({ do: 'stop', sentence: 'You are flying in another window now.' });
  });

  it('goes through the lobby when the server closes, the field has moved, or nothing answers', () => {
    expect(afterClose({ ...lost, code: CLOSE.serverStopping })).toMatchObject({ do: 'seek', why: 'gone' });
    expect(afterClose({ ...lost, code: CLOSE.moved })).toMatchObject({ do: 'seek', why: 'moved' });
    const steps = [0, 1, 2, 3, 4].map((attempt) => afterClose({ ...lost, attempt }).do);
    expect(steps).toEqual(['retry', 'retry', 'retry', 'seek', 'seek']);
  });

  it('does not ask again for a field that is not there', () => {
    expect(afterClose({ ...lost, code: CLOSE.noSuchRoom }).do).toBe('stop');
    expect(afterClose({ ...lost, code: CLOSE.tooManyRooms }).do).toBe('stop');
  });

  it('does not press a field that is too busy', () => {
    expect(afterClose({ ...lost, code: CLOSE.overloaded }).do).toBe('stop');
  });

  it('says what happens in one sentence or two, without shouting', () => {
    for (const code of [1006, ...Object.values(CLOSE)]) {
      const step = afterClose({ ...lost, code, hasReloaded: true });
      if (step.do !== 'reload') expect(step.sentence).toMatch(/^[A-Z][^!]+\.$/);
    }
  });
});
