import { describe, expect, it, vi } from 'vitest';
import { CLOSE } from '../generated/protocol';
import { FakeSocket, HELLO, newest, setUp, useFakes } from './fake-link';

useFakes();

describe('link', () => {
  it('says hello first and then sends what is due', () => {
    const { link, outbox } = setUp();
    link.start();
    outbox.push(new Uint8Array([2]));
    link.flush();
    newest().open();
    link.flush();
    expect(newest().sent.map((bytes) => bytes[0])).toEqual([1, 2]);
  });

  it('answers without waiting, and once to what came in one go', async () => {
    const received: number[][] = [];
    let answered = 0;
    const poll_send = vi.fn(() => {
      if (answered === received.length) return undefined;
      answered = received.length;
      return new Uint8Array(received.at(-1) ?? []);
    });
    const { link } = setUp({ client: { receive: (bytes) => void received.push([...bytes]), poll_send } });
    link.start();
    newest().open();
    for (const byte of [5, 6, 7]) newest().say(byte);
    expect(received).toEqual([[5], [6], [7]]);
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      port2.postMessage(null);
    });
    expect(newest().sent.map((bytes) => bytes[0])).toEqual([1, 7]);
    expect(poll_send).toHaveBeenCalledTimes(2);
  });

  it('notices a way that went silent', async () => {
    const { link, states, admit } = setUp();
    link.start();
    newest().open();
    admit();
    await vi.advanceTimersByTimeAsync(6_200);
    expect(FakeSocket.all[0]?.isClosed).toBe(true);
    expect(states.map((state) => state.kind)).toContain('waiting');
  });

  describe('of a page whose timers stood still', () => {
    /** Only the poll after it runs: what has arrived meanwhile is not read yet. */
    const sleep = async (ms: number): Promise<void> => {
      vi.setSystemTime(Date.now() + ms - 50);
      await vi.advanceTimersByTimeAsync(50);
    };
    const fly = () => {
      const relocate = vi.fn(async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'again' }));
      const { link, admit } = setUp({ relocate });
      link.start();
      newest().open();
      admit();
      newest().say(1);
      return { relocate, link };
    };

    it('blames no server for what it slept through', async () => {
      const { relocate, link } = fly();
      for (let nap = 0; nap < 3; nap += 1) {
        await sleep(10_000);
        newest().say(1);
        expect(link.takeSilence()).toBeLessThan(100);
        await vi.advanceTimersByTimeAsync(5_900);
        newest().say(1);
        link.takeSilence();
      }
      expect([FakeSocket.all.length, FakeSocket.all[0]?.isClosed, relocate.mock.calls.length]).toEqual([1, false, 0]);
    });

    it('finds a way that died meanwhile 6 s later', async () => {
      fly();
      await sleep(600_000);
      await vi.advanceTimersByTimeAsync(5_900);
      expect(FakeSocket.all[0]?.isClosed).toBe(false);
      await vi.advanceTimersByTimeAsync(200);
      expect(FakeSocket.all[0]?.isClosed).toBe(true);
    });

    it.each([[1_000, 7], [60_000, 2]])('in a hidden tab, polling every %i ms, keeps a connection that lives and finds a dead one', async (everyMs, polls) => {
      fly();
      for (let poll = 0; poll < 20; poll += 1) {
        await sleep(everyMs);
        newest().say(1);
      }
      expect(FakeSocket.all[0]?.isClosed).toBe(false);
      for (let poll = 0; poll < polls; poll += 1) await sleep(everyMs);
      expect(FakeSocket.all[0]?.isClosed).toBe(true);
    });
  });

  it('delivers at once and uncopied while no condition is set', () => {
    const { link, outbox } = setUp();
    link.start();
    newest().open();
    const bytes = new Uint8Array([2]);
    outbox.push(bytes);
    link.flush();
    expect(newest().sent.at(-1)).toBe(bytes);
  });

  it('added latency delays both ways, in order, the hello included', async () => {
    const { link, outbox, received } = setUp();
    link.conditioner.conditions.latencyMs = 75;
    link.start();
    newest().open();
    outbox.push(new Uint8Array([2]));
    newest().say(5);
    newest().say(6);
    await vi.advanceTimersByTimeAsync(74);
    expect([newest().sent, received]).toEqual([[], []]);
    await vi.advanceTimersByTimeAsync(1);
    expect(newest().sent).toEqual([HELLO]);
    expect(received).toEqual([[5], [6]]);
    await vi.advanceTimersByTimeAsync(75);
    expect(newest().sent.map((bytes) => bytes[0])).toEqual([1, 2]);
  });

  it('a stall holds back, keeps the socket, and is told as silence', async () => {
    const { link, received } = setUp();
    link.start();
    newest().open();
    newest().say(1);
    link.takeSilence();
    link.conditioner.stall(2_000);
    newest().say(2);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(received).toEqual([[1]]);
    expect(link.takeSilence()).toBe(1_999);
    await vi.advanceTimersByTimeAsync(1);
    expect(received).toEqual([[1], [2]]);
    expect(link.takeSilence()).toBe(2_000);
    expect(link.takeSilence()).toBe(0);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('the end of a socket comes after what was said before it', async () => {
    const { link, received, states } = setUp();
    link.start();
    newest().open();
    link.conditioner.conditions.latencyMs = 100;
    newest().say(1);
    newest().end(CLOSE.replaced);
    expect(states.at(-1)?.kind).toBe('connecting');
    await vi.advanceTimersByTimeAsync(100);
    expect(received).toEqual([[1]]);
    expect(states.at(-1)?.kind).toBe('stopped');
  });

  it('a cut drops the socket, opens none until it is over, and then comes back at once', async () => {
    const { link, states, admit } = setUp();
    link.start();
    newest().open();
    admit();
    link.cut(10_000);
    expect(FakeSocket.all[0]?.isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(FakeSocket.all).toHaveLength(1);
    expect(states.at(-1)?.kind).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('is in from the welcome until the socket is gone', async () => {
    const { link, admit } = setUp();
    const isIn = [link.isWelcomed];
    link.start();
    newest().open();
    isIn.push(link.isWelcomed);
    admit();
    isIn.push(link.isWelcomed);
    newest().end(1006);
    isIn.push(link.isWelcomed);
    await vi.advanceTimersByTimeAsync(300);
    newest().open();
    isIn.push(link.isWelcomed);
    admit();
    isIn.push(link.isWelcomed);
    link.leave();
    isIn.push(link.isWelcomed);
    expect(isIn).toEqual([false, false, true, false, false, true, false]);
  });

  it('what is still under way goes out when the page leaves', () => {
    const { link, outbox } = setUp();
    link.start();
    newest().open();
    link.conditioner.conditions.latencyMs = 100;
    outbox.push(new Uint8Array([8]));
    link.leave();
    expect(newest().sent.at(-1)?.[0]).toBe(8);
    expect(newest().isClosed).toBe(true);
  });
});
