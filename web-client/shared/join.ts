// Asks the lobby to let us into a room: `POST /api/join`. Every failure becomes one sentence for people.
import { Deadline } from './deadline';
import { events } from './events';

export interface JoinAnswer {
  path: string;
  ticket: string;
  instance: string;
  region: string;
  room: string;
  /** The proof that the room was made for us, if it was. */
  host?: string;
}

/**
 * Into this very room, or into one of a kind in a region: its public one, or a new private one. `host`: the proof that the room
 * was made for us; `watch`: only to look on, so that nothing is woken.
 */
export type JoinRequest = { instance: string; room?: string; host?: string; watch?: boolean } | { region: string; kind: string; watch?: boolean; private?: boolean };

/** What the lobby is doing while we wait: a word for programs, a sentence for people. */
export interface JoinStage {
  stage: string;
  message: string;
}

/** Another region that would take us. */
export interface Offer {
  region: string;
  place: string;
  latency_ms: number | null;
}

/** Longer than the lobby's own deadline of 60 s for machines to wake. */
const JOIN_TIMEOUT_MS = 70_000;
/** The lobby answers at once, and says something every 5 s while a machine wakes. After such a silence it is gone. */
const SILENCE_MAX_MS = 12_000;

/** A failure whose message is fit to show. */
export class JoinError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly offer?: Offer,
  ) {
    super(message);
  }
}

/**
 * Asks to be let in; rejects with a [`JoinError`]. The lobby wakes a machine first if it must, and tells `onStage` what it
 * does. `signal` gives up early, with the code `stopped`.
 */
export async function join(request: JoinRequest, onStage: (stage: JoinStage) => void = () => undefined, signal?: AbortSignal): Promise<JoinAnswer> {
  const end = new Deadline(JOIN_TIMEOUT_MS, SILENCE_MAX_MS, signal);
  try {
    const response = await fetch('/api/join', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(request),
      signal: end.signal,
    });
    return understand(await answerOf(response, end, onStage), response.status);
  } catch (error) {
    if (error instanceof JoinError) throw error;
    if (signal?.aborted) throw new JoinError('You stayed here.', 'stopped');
    throw new JoinError('The lobby does not answer. Check your connection and try again.', 'unreachable');
  } finally {
    end.clear();
  }
}

/** The last word, whether it comes alone or after stages. */
async function answerOf(response: Response, end: Deadline, onStage: (stage: JoinStage) => void): Promise<unknown> {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  if (!isStream || response.body === null) return response.json().catch(() => undefined);
  for await (const { event, data } of events(response.body, () => end.received())) {
    const json: unknown = JSON.parse(data);
    if (event !== 'stage') return json;
    if (isJoinStage(json)) onStage(json);
  }
  return undefined;
}

function understand(body: unknown, status: number): JoinAnswer {
  if (isJoinAnswer(body)) return body;
  const told = (body as { error?: { code?: unknown; message?: unknown; offer?: unknown } } | undefined)?.error;
  const message = typeof told?.message === 'string' ? told.message : 'The lobby could not find you a place. Try again in a moment.';
  throw new JoinError(message, typeof told?.code === 'string' ? told.code : String(status), isOffer(told?.offer) ? told.offer : undefined);
}

function isJoinAnswer(body: unknown): body is JoinAnswer {
  const place = body as Partial<JoinAnswer> | undefined;
  return typeof place?.path === 'string' && place.path.startsWith('/') && typeof place.ticket === 'string';
}

function isJoinStage(json: unknown): json is JoinStage {
  const stage = json as Partial<JoinStage> | undefined;
  return typeof stage?.stage === 'string' && typeof stage.message === 'string';
}

function isOffer(json: unknown): json is Offer {
  const offer = json as Partial<Offer> | undefined;
  return typeof offer?.region === 'string' && typeof offer.place === 'string';
}
