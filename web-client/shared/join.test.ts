import { afterEach, describe, expect, it, vi } from 'vitest';
import { join, type JoinError, type JoinStage } from './join';

const PLACE = { path: '/gameserver/m1/arena', ticket: 't', instance: 'm1', region: 'ewr', room: 'arena' };

/** A lobby that answers with these chunks. */
function answer(type: string, status: number, ...chunks: string[]): void {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
      controller.close();
    },
  });
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status, headers: { 'content-type': type } })));
}

function stream(...chunks: string[]): void {
  answer('text/event-stream', 200, ...chunks);
}

async function failure(promise: Promise<unknown>): Promise<JoinError> {
  return promise.then(() => expect.fail('it should fail'), (error: unknown) => error as JoinError);
}

afterEach(() => vi.unstubAllGlobals());

describe('a join', () => {
  it('tells stages as they come, however the bytes are cut', async () => {
    const told: JoinStage[] = [];
    stream(': hello\n\nevent: stage\nda', 'ta: {"stage":"asking","message":"Asking."}\n', '\nevent: stage\ndata: {"stage":"booting","message":"Booting."}\n\n', `event: joined\ndata: ${JSON.stringify(PLACE)}\n\n`);
    expect(await join({ region: 'ewr', kind: 'arena' }, (stage) => told.push(stage))).toEqual(PLACE);
    expect(told.map(({ stage }) => stage)).toEqual(['asking', 'booting']);
  });

  it('passes on the sentence and the offer of a refusal', async () => {
    const offer = { region: 'cdg', place: 'Paris', latency_ms: 75 };
    stream(`event: refused\ndata: ${JSON.stringify({ error: { code: 'full', message: 'Full.', offer } })}\n\n`);
    expect(await failure(join({ region: 'ewr', kind: 'arena' }, () => undefined))).toMatchObject({ message: 'Full.', code: 'full', offer });
    answer('application/json', 429, JSON.stringify({ error: { code: 'too_many_joins', message: 'Wait.' } }));
    expect(await failure(join({ region: 'ewr', kind: 'arena' }))).toMatchObject({ message: 'Wait.', code: 'too_many_joins', offer: undefined });
  });

  it('gives up a lobby that says nothing, not one that says that it goes on', async () => {
    vi.useFakeTimers();
    try {
      let send = (_: string): void => undefined;
      vi.stubGlobal('fetch', async (_: string, { signal }: { signal: AbortSignal }) => {
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            send = (text) => controller.enqueue(new TextEncoder().encode(text));
            signal.addEventListener('abort', () => controller.error(new DOMException('', 'AbortError')));
          },
        });
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
      });
      let outcome: JoinError | undefined;
      void failure(join({ region: 'ewr', kind: 'arena' })).then((error) => (outcome = error));
      for (let beat = 0; beat < 4; beat += 1) {
        await vi.advanceTimersByTimeAsync(10_000);
        send(': still waking\n\n');
      }
      await vi.advanceTimersByTimeAsync(11_000);
      expect(outcome).toBeUndefined();
      await vi.advanceTimersByTimeAsync(2_000);
      expect(outcome).toMatchObject({ code: 'unreachable' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('has a sentence for a stream that breaks off, for nonsense and for silence', async () => {
    stream('event: stage\ndata: {"stage":"asking","message":"Asking."}\n\n');
    expect((await failure(join({ region: 'ewr', kind: 'arena' }, () => undefined))).message).toContain('could not find you a place');
    answer('text/html', 502, '<html>');
    expect((await failure(join({ region: 'ewr', kind: 'arena' }))).code).toBe('502');
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    expect((await failure(join({ region: 'ewr', kind: 'arena' }))).code).toBe('unreachable');
    vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) => (signal?.aborted ? Promise.reject(new DOMException('', 'AbortError')) : undefined));
    expect((await failure(join({ region: 'ewr', kind: 'arena' }, undefined, AbortSignal.abort()))).code).toBe('stopped');
  });
});
