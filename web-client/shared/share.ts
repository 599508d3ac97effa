// Links to a room for others: to join in, to read along, and to decide about it.
import type { RoomAddress } from './room-address';

const NOT_NOW = 'The lobby gives no link right now. Try again in a moment.';
const TIMEOUT_MS = 8_000;

/** The path by which people only read along; rejects with an error whose message is fit to show. */
export async function readerPath(address: RoomAddress): Promise<string> {
  const answer: unknown = await fetch('/api/share', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(address),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).then(async (response) => response.json(), () => undefined).catch(() => undefined);
  const { path, error } = (answer ?? {}) as { path?: unknown; error?: { message?: unknown } };
  if (typeof path === 'string' && path.startsWith('/')) return path;
  throw new Error(typeof error?.message === 'string' ? error.message : NOT_NOW);
}

/** The link that makes whoever opens it the room's host, too. The proof stands where no server sees it. */
export function hostLink(base: string, proof: string): string {
  const url = new URL(base);
  url.hash = new URLSearchParams({ host: proof }).toString();
  return url.href;
}
