// Departures as they change: a live stream, or a look every few seconds where a stream cannot be had.
import { parseDepartures, type Departures } from './regions';

const POLL_INTERVAL_MS = 3_000;
/** A stream that stayed silent this long may be held back by something in between. */
const FIRST_EVENT_TIMEOUT_MS = 4_000;
/** While polling, the stream is tried again this often. */
const STREAM_RETRY_MS = 30_000;

/** `onTrouble` gets a sentence, or an empty text when it is over. */
export function followDepartures(onNews: (departures: Departures) => void, onTrouble: (sentence: string) => void): void {
  let pollTimer: ReturnType<typeof setInterval> | undefined;

  const accept = (json: unknown): void => {
    const departures = parseDepartures(json);
    if (departures === undefined) return;
    onTrouble('');
    onNews(departures);
  };

  const poll = async (): Promise<void> => {
    try {
      const response = await fetch('/api/regions', { cache: 'no-store' });
      accept(await response.json());
    } catch {
      onTrouble('The board cannot reach the lobby right now. It tries again by itself.');
    }
  };

  const startPolling = (): void => {
    if (pollTimer !== undefined) return;
    pollTimer = setInterval(() => void poll(), POLL_INTERVAL_MS);
    void poll();
    setTimeout(startStream, STREAM_RETRY_MS);
  };

  const startStream = (): void => {
    const stream = new EventSource('/api/regions/stream');
    const silence = setTimeout(startPolling, FIRST_EVENT_TIMEOUT_MS);
    stream.addEventListener('regions', (event) => {
      clearTimeout(silence);
      clearInterval(pollTimer);
      pollTimer = undefined;
      accept(JSON.parse(event.data as string));
    });
    // Polling finds out whether it is the stream or the lobby; a browser reopens a stream that merely broke.
    stream.addEventListener('error', () => {
      clearTimeout(silence);
      if (stream.readyState === EventSource.CLOSED || pollTimer !== undefined) stream.close();
      startPolling();
    });
  };

  startStream();
}
