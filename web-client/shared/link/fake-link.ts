// A link whose sockets and lobby are fakes, in virtual time. For tests only.
import { afterEach, beforeEach, vi } from 'vitest';
import { openStore } from '../store';
import { Budget } from './budget';
import { Link, type LinkOptions } from './link';
import { ASKS_MAX, FOLLOWS_MAX } from './reconnect-policy';
import type { LinkState } from './reconnector';

export class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: Uint8Array[] = [];
  isClosed = false;

  constructor(readonly url: string) {
    super();
    FakeSocket.all.push(this);
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  close(): void {
    this.isClosed = true;
  }

  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.dispatchEvent(new Event('open'));
  }

  end(code: number): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason: '' }));
  }

  say(...bytes: number[]): void {
    this.dispatchEvent(new MessageEvent('message', { data: new Uint8Array(bytes).buffer }));
  }
}

export const HELLO = new Uint8Array([1]);

export function setUp(overrides: Partial<LinkOptions> = {}, ticket: 'ticket' | null = 'ticket') {
  const states: LinkState[] = [];
  const outbox: Uint8Array[] = [];
  const received: number[][] = [];
  const tickets: (string | undefined)[] = [];
  let hasResume = false;
  const options: LinkOptions = {
    url: 'ws://server/gameserver/i/arena',
    client: { receive: (bytes) => void received.push([...bytes]), poll_send: () => outbox.shift() },
    hello: (given) => {
      tickets.push(given);
      return HELLO;
    },
    hasResume: () => hasResume,
    askTicket: async () => ({ url: 'ws://server/gameserver/i/arena', ticket: 'fresh' }),
    relocate: async () => ({ url: 'ws://server/gameserver/j/arena-i', ticket: 'elsewhere' }),
    probe: async () => true,
    isOnline: () => true,
    silenceMaxMs: 6_000,
    joins: budget('joins', ASKS_MAX),
    follows: budget('follows', FOLLOWS_MAX),
    onState: (state) => states.push(state),
    reload: vi.fn(),
    hasReloaded: false,
    now: () => Date.now(),
    ...overrides,
  };
  const link = new Link(options, ticket ?? undefined);
  return { link, states, outbox, received, tickets, options, admit: () => { hasResume = true; link.welcomed(); } };
}

/** Of a tab whose browser keeps nothing. */
export function budget(key: string, max: number): Budget {
  return new Budget(openStore(() => { throw new Error('denied'); }), key, max);
}

export const newest = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;

/** For each test of the file that calls it. */
export function useFakes(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.all = [];
    vi.stubGlobal('WebSocket', FakeSocket);
    vi.stubGlobal('addEventListener', () => undefined);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}
