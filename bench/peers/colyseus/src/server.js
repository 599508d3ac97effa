// The server: one room "arena" on a free port of this machine.
//
// Environment: CELLS (side of the field in cells, 10), PORT (a free one).
// Path: prints its address as one line; GET /figures tells how it goes; ends when its stdin closes.
import { Server } from '@colyseus/core';
import { Encoder } from '@colyseus/schema';
import { WebSocketTransport } from '@colyseus/ws-transport';
import { ArenaRoom } from './room.js';

/** All views of a tick are encoded one after the other into one buffer: 400 clients need about 300 KB. */
Encoder.BUFFER_SIZE = 1024 * 1024;

const cells = Number(process.env.CELLS ?? 10);
const port = Number(process.env.PORT ?? 0);
let arena;

class Arena extends ArenaRoom {
  onCreate() {
    super.onCreate({ cells });
    arena = this;
  }
}

const transport = new WebSocketTransport({ perMessageDeflate: false });
const server = new Server({
  transport,
  greet: false,
  express: (app) => app.get('/figures', (_, response) => response.json(arena?.figures() ?? {})),
});
server.define('arena', Arena);
await server.listen(port, '127.0.0.1');
console.log(`127.0.0.1:${transport.server.address().port}`);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
