import { describe, expect, it } from 'vitest';
import { CLOSE, CLOSE_SENTENCES } from '../generated/protocol';
import { afterClose, askDelayMs, ASKS_MAX, backoffMs, FOLLOWS_MAX, MISUNDERSTOOD_MAX, UNWELCOMED_MAX, type Situation } from './reconnect-policy';
import { WORDS } from './words';

const lost: Situation = { code: 1006, attempt: 0, hasReloaded: false, misunderstood: 0, isSilent: false, unopened: 0, unwelcomed: 0, isReachable: false, isOnline: true, follows: 0 };

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

  // SPEC S9.1.
  it('reloads for a newer version once and never again', () => {
    expect(afterClose({ ...lost, code: CLOSE.versionMismatch })).toEqual({ do: 'reload' });
    expect(afterClose({ ...lost, code: CLOSE.versionMismatch, hasReloaded: true }).do).toBe('stop');
  });

  it('takes the second message in a row that was not understood for another version', () => {
    const misread = { ...lost, code: CLOSE.badMessage, misunderstood: 1 };
    expect(afterClose(misread)).toMatchObject({ do: 'retry' });
    expect(afterClose({ ...misread, misunderstood: MISUNDERSTOOD_MAX })).toEqual({ do: 'reload' });
    expect(afterClose({ ...misread, misunderstood: MISUNDERSTOOD_MAX, hasReloaded: true })).toEqual({ do: 'stop', sentence: WORDS.closed[CLOSE.versionMismatch], again: 'Try again' });
  });

  // SPEC S9.1.
  it('leaves the room to the newer window', () => {
    expect(afterClose({ ...lost, code: CLOSE.replaced })).toEqual({ do: 'stop', sentence: WORDS.closed[CLOSE.replaced], again: WORDS.comeBack });
  });

  // SPEC S4.5 and S9.1.
  it('goes through the lobby when the server closes, the room has moved, or nothing answers', () => {
    expect(afterClose({ ...lost, code: CLOSE.serverStopping })).toMatchObject({ do: 'relocate', why: 'gone' });
    expect(afterClose({ ...lost, code: CLOSE.moved })).toMatchObject({ do: 'relocate', why: 'moved' });
    const steps = [0, 1, 2, 3, 4].map((attempt) => afterClose({ ...lost, attempt }).do);
    expect(steps).toEqual(['retry', 'retry', 'retry', 'relocate', 'relocate']);
  });

  it('does not ask again for a room that is not there', () => {
    expect(afterClose({ ...lost, code: CLOSE.noSuchRoom }).do).toBe('stop');
    // By itself it would wake the room again and again.
    expect(afterClose({ ...lost, code: CLOSE.asleep })).toEqual({ do: 'stop', sentence: CLOSE_SENTENCES[CLOSE.asleep], again: WORDS.comeBack });
    expect(afterClose({ ...lost, code: CLOSE.tooManyRooms }).do).toBe('stop');
  });

  it('asks the lobby at once about a server that fell silent', () => {
    expect(afterClose({ ...lost, isSilent: true }, () => 1)).toMatchObject({ do: 'relocate', why: 'gone', delayMs: 250 });
    expect(afterClose({ ...lost, isSilent: true, unopened: 1 })).toMatchObject({ do: 'relocate', why: 'gone' });
  });

  it('blames the network for sockets that never open only if the server answers otherwise', () => {
    expect(afterClose({ ...lost, unopened: 1 }).do).toBe('retry');
    expect(afterClose({ ...lost, unopened: 2, isSilent: true }).do).toBe('probe');
    expect(afterClose({ ...lost, unopened: 3 }).do).toBe('probe');
    const blocked = afterClose({ ...lost, unopened: 3, isReachable: true });
    expect(blocked).toMatchObject({ do: 'stop', again: 'Try again' });
    expect(blocked).toHaveProperty('sentence', WORDS.blocked);
  });

  it('leaves sockets that open and bring nothing to a person after a few, whatever they end with', () => {
    for (const trouble of [{}, { isSilent: true }, { code: CLOSE.helloTimeout }, { code: CLOSE.badMessage }]) {
      expect(afterClose({ ...lost, ...trouble, unwelcomed: UNWELCOMED_MAX - 1 }).do).not.toBe('stop');
      expect(afterClose({ ...lost, ...trouble, unwelcomed: UNWELCOMED_MAX })).toMatchObject({ do: 'stop', again: 'Try again' });
    }
  });

  it('asks and blames nobody while the device is offline', () => {
    for (const attempt of [0, 5, 100]) {
      expect(afterClose({ ...lost, attempt, isOnline: false, isSilent: true, unopened: 9, unwelcomed: 9 }, () => 1)).toMatchObject({ do: 'retry', sentence: expect.stringContaining('offline') });
    }
  });

  it('follows a moved room three times in a minute, longer than a lost owner is respected, and then says so', () => {
    const steps = Array.from({ length: FOLLOWS_MAX + 1 }, (_, follows) => afterClose({ ...lost, code: CLOSE.moved, follows }));
    expect(steps.map((step) => step.do)).toEqual(['relocate', 'relocate', 'relocate', 'stop']);
    expect(steps.reduce((sum, step) => sum + ('delayMs' in step ? step.delayMs : 0), 0)).toBeGreaterThan(30_000);
    expect(steps.at(-1)).toMatchObject({ again: 'Try again', sentence: WORDS.sentRound });
  });

  it('asks a lobby that refuses ever more rarely, for longer than a lost owner is respected', () => {
    const delays = (random: number): number[] => Array.from({ length: ASKS_MAX - 1 }, (_, index) => askDelayMs(index + 1, () => random));
    expect(delays(1)).toEqual([2_000, 4_000, 8_000, 12_000, 12_000, 12_000, 12_000]);
    expect(delays(0).reduce((sum, delay) => sum + delay, 0)).toBeGreaterThan(30_000);
  });

  it('does not press a room that is too busy', () => {
    expect(afterClose({ ...lost, code: CLOSE.overloaded }).do).toBe('stop');
  });
});
