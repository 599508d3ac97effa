// Asking the lobby for a place: `POST /api/join`. Every failure becomes one sentence for people.

export interface Place {
  path: string;
  ticket: string;
  instance: string;
  region: string;
  room: string;
}

export type Wish = { instance: string; room?: string } | { region: string; room?: string };

/** Longer than the lobby's own deadline of 15 s for waking a machine. */
const JOIN_TIMEOUT_MS = 25_000;

/** A failure whose message is fit to show. */
export class JoinError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** Asks for a place; rejects with a [`JoinError`]. The lobby wakes the machine first if it sleeps. */
export async function join(wish: Wish): Promise<Place> {
  let response: Response;
  try {
    response = await fetch('/api/join', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wish),
      signal: AbortSignal.timeout(JOIN_TIMEOUT_MS),
    });
  } catch {
    throw new JoinError('The lobby does not answer. Check your connection and try again.', 'unreachable');
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (isPlace(body)) return body;
  const told = (body as { error?: { code?: unknown; message?: unknown } } | undefined)?.error;
  const message = typeof told?.message === 'string' ? told.message : 'The lobby could not find you a place. Try again in a moment.';
  throw new JoinError(message, typeof told?.code === 'string' ? told.code : String(response.status));
}

function isPlace(body: unknown): body is Place {
  const place = body as Partial<Place> | undefined;
  return typeof place?.path === 'string' && place.path.startsWith('/') && typeof place.ticket === 'string';
}
