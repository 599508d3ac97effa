import { describe, expect, it, vi } from 'vitest';
import { CLOSE } from '../generated/protocol';
import { budget, FakeSocket, HELLO, newest, setUp, useFakes } from './fake-link';
import { ASKS_MAX, FOLLOWS_MAX, LOST_CODE, UNWELCOMED_MAX } from './reconnect-policy';
import { WORDS } from './words';

useFakes();

describe('the reconnector', () => {
  it('comes back by itself after a loss, without spending the ticket twice', async () => {
    const { link, states, tickets, admit } = setUp();
    link.start();
    newest().open();
    admit();
    newest().end(1006);
    expect(states.at(-1)).toMatchObject({ kind: 'waiting', sentence: 'Connection lost. Reconnecting by itself.' });
    await vi.advanceTimersByTimeAsync(300);
    newest().open();
    expect(FakeSocket.all).toHaveLength(2);
    expect(tickets).toEqual(['ticket', undefined]);
  });

  it('asks the lobby for a ticket when it has neither ticket nor token', async () => {
    const { link, tickets } = setUp({}, null);
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    newest().open();
    expect(tickets).toEqual(['fresh']);
  });

  const MISREAD = { receive: () => { throw new Error('not understood'); }, poll_send: () => undefined };

  it.each([
    ['the room does not understand', {}, () => newest().end(CLOSE.badMessage)],
    ['the page does not understand', { client: MISREAD }, () => newest().say(0, 9, 9)],
  ] as const)('loads the page again when %s twice in a row', async (_who, overrides, misunderstand) => {
    const { link, options, admit } = setUp(overrides);
    link.start();
    newest().open();
    admit();
    misunderstand();
    expect(options.reload).not.toHaveBeenCalled();
    // What else goes wrong in between makes them no better.
    for (const code of [LOST_CODE, CLOSE.badMessage]) {
      await vi.advanceTimersByTimeAsync(1_000);
      newest().open();
      if (code === LOST_CODE) newest().end(code);
      else misunderstand();
    }
    expect(options.reload).toHaveBeenCalledOnce();
  });

  it('comes back as before when they understood each other in between', async () => {
    const { link, options, admit } = setUp();
    link.start();
    for (let loss = 0; loss < 5; loss += 1) {
      newest().open();
      admit();
      for (let frame = 0; frame < 60; frame += 1) {
        await vi.advanceTimersByTimeAsync(100);
        newest().say(128);
      }
      newest().end(CLOSE.badMessage);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(FakeSocket.all).toHaveLength(6);
    expect(options.reload).not.toHaveBeenCalled();
  });

  it('says that loading the page again did not help, until a connection was steady', async () => {
    const { link, options, states, admit } = setUp({ hasReloaded: true });
    link.start();
    newest().open();
    newest().end(CLOSE.versionMismatch);
    expect(states.at(-1)).toEqual({ kind: 'stopped', sentence: WORDS.closed[CLOSE.versionMismatch], again: 'Try again' });
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    newest().open();
    admit();
    for (let frame = 0; frame < 60; frame += 1) {
      await vi.advanceTimersByTimeAsync(100);
      newest().say(128);
    }
    // The next deploy.
    newest().end(CLOSE.serverStopping);
    await vi.advanceTimersByTimeAsync(1_000);
    newest().open();
    newest().end(CLOSE.versionMismatch);
    expect(options.reload).toHaveBeenCalledOnce();
  });

  it('asks for another ticket when the room refuses this one', async () => {
    const { link, tickets } = setUp();
    link.start();
    newest().open();
    newest().end(CLOSE.badTicket);
    await vi.advanceTimersByTimeAsync(1);
    newest().open();
    expect(tickets).toEqual(['ticket', 'fresh']);
  });

  it('follows the room to where the lobby says, with a ticket and as the same member', async () => {
    const relocate = vi.fn(async (_why: 'gone' | 'moved') => ({ url: 'ws://server/gameserver/j/arena-i', ticket: 'elsewhere' }));
    const { link, states, tickets, admit } = setUp({ relocate });
    link.start();
    newest().open();
    admit();
    newest().end(CLOSE.moved);
    expect(states.at(-1)).toMatchObject({ kind: 'waiting', sentence: WORDS.closed[CLOSE.moved] });
    await vi.advanceTimersByTimeAsync(300);
    newest().open();
    expect(relocate.mock.calls.map(([why]) => why)).toEqual(['moved']);
    expect(newest().url).toBe('ws://server/gameserver/j/arena-i');
    expect(tickets).toEqual(['ticket', 'elsewhere']);
    admit();
    // From then on it comes back to where it is.
    newest().end(1006);
    await vi.advanceTimersByTimeAsync(300);
    expect(newest().url).toBe('ws://server/gameserver/j/arena-i');
  });

  it('asks the lobby once nothing has answered for a while', async () => {
    const relocate = vi.fn(async (_why: 'gone' | 'moved') => ({ url: 'ws://server/gameserver/j/arena-i', ticket: 'elsewhere' }));
    const { link, admit } = setUp({ relocate });
    link.start();
    newest().open();
    admit();
    for (let loss = 0; loss < 4; loss += 1) {
      newest().open();
      newest().end(1006);
      await vi.advanceTimersByTimeAsync(4_100);
    }
    expect(relocate.mock.calls.map(([why]) => why)).toEqual(['gone']);
    expect(newest().url).toBe('ws://server/gameserver/j/arena-i');
  });

  it('says what the lobby says, tries for a while, and then leaves it to a person', async () => {
    const relocate = vi.fn(async () => {
      throw new Error('Every server there is full.');
    });
    const { link, states, admit } = setUp({ relocate });
    link.start();
    newest().open();
    admit();
    newest().end(CLOSE.serverStopping);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(states.at(-1)).toMatchObject({ kind: 'waiting', sentence: 'Every server there is full.' });
    await vi.advanceTimersByTimeAsync(90_000);
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', sentence: 'Every server there is full.', again: 'Try again' });
    expect(relocate).toHaveBeenCalledTimes(ASKS_MAX);
    link.start();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('stays away when a newer window took over, until asked', async () => {
    const { link, states, admit } = setUp();
    link.start();
    newest().open();
    admit();
    newest().end(CLOSE.replaced);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(states.at(-1)?.kind).toBe('stopped');
    link.start();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('gives up a socket that never opens, and asks the lobby, which is in a place that works', async () => {
    const relocate = vi.fn(async () => ({ url: 'ws://server/gameserver/j/arena-i', ticket: 'elsewhere' }));
    const { link, admit } = setUp({ relocate });
    link.start();
    newest().open();
    admit();
    // The server stands still: the first socket falls silent, the kernel takes the next one for it.
    await vi.advanceTimersByTimeAsync(6_400);
    expect(relocate).toHaveBeenCalledTimes(1);
    expect(FakeSocket.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(FakeSocket.all[1]?.isClosed).toBe(true);
    expect(relocate).toHaveBeenCalledTimes(2);
    newest().open();
    await vi.advanceTimersByTimeAsync(5_500);
    expect(newest().isClosed).toBe(false);
  });

  it('three sockets that never opened, of a server that answers otherwise, are the network: it says so and joins no more', async () => {
    const [relocate, askTicket, probe] = [vi.fn(), vi.fn(), vi.fn(async () => true)];
    const { link, states } = setUp({ relocate, askTicket, probe });
    link.start();
    for (let socket = 0; socket < 3; socket += 1) {
      expect(FakeSocket.all).toHaveLength(socket + 1);
      newest().end(1006);
      await vi.advanceTimersByTimeAsync(600);
    }
    await vi.advanceTimersByTimeAsync(120_000);
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', again: 'Try again', sentence: WORDS.blocked });
    expect([FakeSocket.all.length, relocate.mock.calls.length, askTicket.mock.calls.length, probe.mock.calls.length]).toEqual([3, 0, 0, 1]);
    link.start();
    newest().open();
    expect(newest().sent).toEqual([HELLO]);
  });

  it('an answer over plain HTTP that comes too late says nothing of the sockets after it', async () => {
    const answers: ((isThere: boolean) => void)[] = [];
    const probe = vi.fn(() => new Promise<boolean>((resolve) => answers.push(resolve)));
    const { link, admit } = setUp({ probe });
    const loseTwo = async (): Promise<void> => {
      for (let socket = 0; socket < 2; socket += 1) {
        newest().end(1006);
        await vi.advanceTimersByTimeAsync(600);
      }
    };
    link.start();
    await loseTwo();
    // The person does not wait.
    link.start();
    newest().open();
    admit();
    answers[0]?.(true);
    await vi.advanceTimersByTimeAsync(5_500);
    newest().end(1006);
    await vi.advanceTimersByTimeAsync(300);
    await loseTwo();
    expect(probe).toHaveBeenCalledTimes(2);
  });

  it('a network that swallows upgrades is found out as well, after one question to the lobby', async () => {
    const relocate = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'again' }));
    const { link, states } = setUp({ relocate });
    link.start();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', sentence: WORDS.blocked });
    expect([FakeSocket.all.length, relocate.mock.calls.length]).toEqual([3, 1]);
  });

  it('sockets of a server that is gone for good end in the hands of a person, after a few joins', async () => {
    const relocate = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'again' }));
    const { link, states } = setUp({ relocate, probe: async () => false });
    link.start();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', again: 'Try again' });
    expect(relocate.mock.calls.length).toBeLessThanOrEqual(ASKS_MAX);
  });

  it.each([['swallow what is said', undefined], ['end as if no hello had come', CLOSE.helloTimeout]])('sockets that open and %s end in the hands of a person, after a few joins', async (_, code) => {
    const relocate = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'again' }));
    const askTicket = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'fresh' }));
    const { link, states } = setUp({ relocate, askTicket });
    link.start();
    for (let second = 0; second < 300; second += 1) {
      if (newest().readyState === 0) newest().open();
      await vi.advanceTimersByTimeAsync(1_000);
      if (code !== undefined && second % 5 === 4 && !newest().isClosed) newest().end(code);
    }
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', again: 'Try again', sentence: WORDS.gaveUp });
    expect(FakeSocket.all).toHaveLength(UNWELCOMED_MAX);
    expect(relocate.mock.calls.length + askTicket.mock.calls.length).toBeLessThan(ASKS_MAX);
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    newest().open();
    expect(newest().sent).toEqual([HELLO]);
  });

  it('a connection that breaks again and again after a welcome is not given up', async () => {
    const { link, states, admit } = setUp();
    link.start();
    for (let loss = 0; loss < 3 * UNWELCOMED_MAX; loss += 1) {
      newest().open();
      admit();
      await vi.advanceTimersByTimeAsync(5_500);
      newest().end(1006);
      await vi.advanceTimersByTimeAsync(300);
    }
    expect(states.map((state) => state.kind)).not.toContain('stopped');
  });

  it('blames no network and asks no lobby while the device is offline', async () => {
    const [relocate, probe] = [vi.fn(), vi.fn()];
    let isOnline = false;
    const { link, states } = setUp({ relocate, probe, isOnline: () => isOnline });
    link.start();
    for (let socket = 0; socket < 10; socket += 1) {
      newest().end(1006);
      await vi.advanceTimersByTimeAsync(4_100);
    }
    expect(states.at(-2)).toMatchObject({ kind: 'waiting', sentence: expect.stringContaining('offline') });
    expect([relocate.mock.calls.length, probe.mock.calls.length]).toEqual([0, 0]);
    isOnline = true;
    newest().open();
    expect(newest().sent).toEqual([HELLO]);
  });

  it('a page that is sent round says so and stops, also if it was loaded again meanwhile', async () => {
    let machine = 0;
    const relocate = vi.fn(async () => ({ url: `ws://server/gameserver/m${(machine += 1)}/arena-m`, ticket: 'next' }));
    const follows = budget('follows', FOLLOWS_MAX);
    const sendRound = async (ms: number): Promise<void> => {
      newest().open();
      newest().end(CLOSE.moved);
      await vi.advanceTimersByTimeAsync(ms);
    };
    const first = setUp({ relocate, follows });
    first.link.start();
    await sendRound(300);
    await sendRound(14_100);
    first.link.leave();
    const { link, states } = setUp({ relocate, follows });
    link.start();
    await sendRound(17_100);
    await sendRound(0);
    expect(relocate).toHaveBeenCalledTimes(3);
    expect(states.at(-1)).toMatchObject({ kind: 'stopped', again: 'Try again', sentence: WORDS.sentRound });
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    await sendRound(0);
    expect(states.at(-1)?.kind).toBe('waiting');
  });

  it('tickets that are refused again and again do not make it join for ever', async () => {
    const askTicket = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'bad' }));
    const { link, states } = setUp({ askTicket });
    link.start();
    for (let refusal = 0; refusal < 20; refusal += 1) {
      newest().open();
      newest().end(CLOSE.badTicket);
      await vi.advanceTimersByTimeAsync(4_100);
    }
    expect(states.at(-1)?.kind).toBe('stopped');
    expect(askTicket).toHaveBeenCalledTimes(ASKS_MAX);
  });

  it('an answer of the lobby that comes too late moves nobody', async () => {
    let answer = (_: { url: string; ticket: string }): void => undefined;
    const relocate = (_: string, signal: AbortSignal) => new Promise<{ url: string; ticket: string }>((resolve) => {
      answer = resolve;
      signal.addEventListener('abort', () => (hasAborted = true));
    });
    let hasAborted = false;
    const { link, admit } = setUp({ relocate });
    link.start();
    newest().open();
    admit();
    newest().end(CLOSE.serverStopping);
    await vi.advanceTimersByTimeAsync(300);
    // The person does not wait.
    link.start();
    newest().open();
    expect(hasAborted).toBe(true);
    answer({ url: 'ws://server/gameserver/late/arena', ticket: 'late' });
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all.map(({ url }) => url)).not.toContain('ws://server/gameserver/late/arena');
    expect(newest().isClosed).toBe(false);
  });

  it('a connection that breaks at once after each welcome is not tried without pause', async () => {
    const { link, admit } = setUp();
    link.start();
    for (let loss = 0; loss < 3; loss += 1) {
      newest().open();
      admit();
      newest().end(CLOSE.roomFailed);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    newest().end(CLOSE.roomFailed);
    const before = FakeSocket.all.length;
    await vi.advanceTimersByTimeAsync(900);
    expect(FakeSocket.all).toHaveLength(before);
  });

  it('tells why the lobby has no place, and keeps asking', async () => {
    const { link, states } = setUp({ askTicket: () => Promise.reject(new Error('Paris is full.')) }, null);
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(states.at(-1)?.sentence).toBe('Paris is full.');
  });

  it('a page that left says so only if the lobby does not come at once, and can fly here again', async () => {
    const { link, states, tickets, admit } = setUp({ hasResume: () => false });
    link.start();
    newest().open();
    admit();
    const before = states.length;
    link.leave();
    await vi.advanceTimersByTimeAsync(399);
    expect(states).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states.slice(before)).toEqual([{ kind: 'stopped', sentence: WORDS.left, again: WORDS.comeBack }]);
    expect(FakeSocket.all).toHaveLength(1);
    link.start();
    await vi.advanceTimersByTimeAsync(1);
    newest().open();
    admit();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(tickets).toEqual(['ticket', 'fresh']);
    expect(states.at(-1)?.kind).toBe('open');
  });
});
