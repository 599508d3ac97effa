// Departures as they change: a live stream, or a look every few seconds where a stream cannot be had.
//
// A stream is silent while nothing changes, and may also be dead: after a long silence the board is looked at once, so that
// what is shown is never much older than that. Every look has a deadline, and there is one at a time.
import { parseDepartures, type Departures } from './regions';

const POLL_INTERVAL_MS = 3_000;
const LOOK_TIMEOUT_MS = 8_000;
/** A stream that stayed silent this long may be held back by something in between. */
const FIRST_EVENT_TIMEOUT_MS = 4_000;
/** While polling, the stream is tried again this often. */
const STREAM_RETRY_MS = 30_000;
/** News are at most so old, whatever became of the stream. */
const NEWS_AGE_MAX_MS = 30_000;
const TROUBLE = 'The board cannot reach the lobby right now. It tries again by itself.';

/** `onTrouble` gets a sentence, or an empty text when it is over. */
export function followDepartures(onNews: (departures: Departures) => void, onTrouble: (sentence: string) => void): void {
  let pollTimer: ReturnType<typeof setInterval> | undefined;
  let newsTimer: ReturnType<typeof setTimeout> | undefined;
  let isLooking = false;

  const accept = (json: unknown): void => {
    const departures = parseDepartures(json);
    if (departures === undefined) return onTrouble(TROUBLE);
    onTrouble('');
    onNews(departures);
  };

  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    waitForNews();
    try {
      const response = await fetch('/api/regions', { cache: 'no-store', signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
      accept(await response.json());
    } catch {
      onTrouble(TROUBLE);
    }
    isLooking = false;
  };

  const waitForNews = (): void => {
    clearTimeout(newsTimer);
    newsTimer = setTimeout(() => void look(), NEWS_AGE_MAX_MS);
  };

  const startPolling = (): void => {
    if (pollTimer !== undefined) return;
    pollTimer = setInterval(() => void look(), POLL_INTERVAL_MS);
    void look();
    setTimeout(startStream, STREAM_RETRY_MS);
  };

  const startStream = (): void => {
    const stream = new EventSource('/api/regions/stream');
    const silence = setTimeout(startPolling, FIRST_EVENT_TIMEOUT_MS);
    stream.addEventListener('regions', (event) => {
      clearTimeout(silence);
      clearInterval(pollTimer);
      pollTimer = undefined;
      waitForNews();
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
