// Starts a local Fly of its own for the tests (lobby and gameservers as real processes, on free ports), tells the tests
// its address in `BASE_URL`, and ends it by its process id afterwards. Its log is `target/e2e-fly-local.log`.
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = `${ROOT}target/release/fly-local`;
const LOG = `${ROOT}target/e2e-fly-local.log`;
/** The line by which the local Fly says where to go. */
const READY = /Aerodrome is ready: *(http:\/\/\S+)/;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
/** How much of the log an error message quotes. */
const LOG_TAIL_LINES = 20;

export default async function setup(): Promise<() => Promise<void>> {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: run \`make build\` first.`);
  // Port 0 takes any free one, so a game that is up on the usual ports is not in the way.
  const child = spawn(BINARY, ['--port', '0', '--api-port', '0'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    process.env['BASE_URL'] = await ready(child);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return () => stop(child);
}

/** Resolves with the address once the local Fly says it; rejects with the end of its log if that does not come. */
function ready(child: ChildProcess): Promise<string> {
  const log = createWriteStream(LOG);
  const tail: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`The local Fly ${what}.\n${tail.join('\n')}`));
    const timer = setTimeout(() => fail(`was not ready within ${READY_TIMEOUT_MS / 1000} s`), READY_TIMEOUT_MS);
    child.once('error', (error) => fail(`did not start: ${error.message}`));
    child.once('close', (code, signal) => fail(`ended (${signal ?? code}) before it was ready`));
    child.once('close', () => {
      clearTimeout(timer);
      log.end();
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        tail.push(line);
        if (tail.length > LOG_TAIL_LINES) tail.shift();
        const address = READY.exec(line)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        resolve(address.replace(/\/$/, ''));
      });
    }
  });
}

/** Ends the local Fly as Ctrl-C would, so that it ends what it started; insists if it takes too long. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const insist = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.kill('SIGINT');
  await ended;
  clearTimeout(insist);
}
