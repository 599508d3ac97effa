import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Announcer, PAUSE_MS } from './announcer';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a line is read out at once, many are counted, and one that names the listener is read first', () => {
  const said: string[] = [];
  const announcer = new Announcer((sentence) => said.push(sentence), () => 'Ada');
  const line = (text: string): void => announcer.line({ entry: 1, member: 2, name: 'Bo', text, at_s: 0 });
  line('hello');
  expect(said).toEqual(['Bo: hello']);
  for (const text of ['one', 'two', 'three']) line(text);
  vi.advanceTimersByTime(PAUSE_MS - 1);
  expect(said).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(said.at(-1)).toBe('3 new lines.');
  for (const text of ['one', 'are you there, ada?']) line(text);
  vi.advanceTimersByTime(PAUSE_MS);
  expect(said.at(-1)).toBe('Bo: are you there, ada? One more line.');
  vi.advanceTimersByTime(10 * PAUSE_MS);
  line('later');
  expect(said.at(-1)).toBe('Bo: later');
});
