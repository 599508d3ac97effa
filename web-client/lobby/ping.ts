// How far a machine really is: a few messages over a short-lived socket, straight to the machine and back.
//
// Plain HTTP would pass the lobby each time; a socket stays with the machine once it is open.
import { median } from './regions';

const MESSAGES = 3;
const PING_TIMEOUT_MS = 4_000;

/** The median round trip in milliseconds; `undefined` if the machine does not answer in time. */
export function measure(instance: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const url = new URL(`/gameserver/${encodeURIComponent(instance)}/ping`, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const trips: number[] = [];
    let sentAt = 0;
    const finish = (): void => {
      clearTimeout(timer);
      socket.close();
      resolve(median(trips));
    };
    const timer = setTimeout(finish, PING_TIMEOUT_MS);
    const send = (): void => {
      sentAt = performance.now();
      socket.send(new Uint8Array([trips.length]));
    };
    socket.addEventListener('open', send);
    socket.addEventListener('message', () => {
      trips.push(performance.now() - sentAt);
      if (trips.length < MESSAGES) send();
      else finish();
    });
    socket.addEventListener('error', finish);
    socket.addEventListener('close', finish);
  });
}
