import { describe, expect, it } from 'vitest';
import type { ChatLine } from '../shared/session';
import { Feed, LINES_MAX } from './feed';

const ADA = { member: 7, name: 'Ada' };
const line = (entry: number, member = 9, text = `line ${entry}`): ChatLine => ({ entry, member, name: member === 7 ? 'Ada' : 'Bo', text, at_s: 1_000 + entry });

/** Ada is there, and two lines of Bo. */
function feed(): Feed {
  const feed = new Feed();
  feed.welcome(ADA, [line(1), line(2)]);
  return feed;
}

const texts = (feed: Feed): string[] => feed.shown.map(({ text, state }) => (state === undefined ? text : `${text} (${state})`));

describe('the feed', () => {
  it('shows an own line at once, then as what became of it', () => {
    const own = feed();
    own.say(1, 'hello', 1_003);
    expect(texts(own)).toEqual(['line 1', 'line 2', 'hello (sending)']);
    own.taken(1, 4);
    expect(texts(own).at(-1)).toBe('hello (sent)');
    own.add(line(3));
    own.add(line(4, 7, 'hello'));
    expect(texts(own)).toEqual(['line 1', 'line 2', 'line 3', 'hello (sent)']);
    own.kept(3);
    expect(texts(own).at(-1)).toBe('hello (sent)');
    own.kept(4);
    expect(texts(own).at(-1)).toBe('hello (kept)');
  });

  it('shows it once, whichever comes first, the line or the answer', () => {
    const own = feed();
    own.say(1, 'hello', 1_003);
    own.say(2, 'hello', 1_004);
    own.add(line(3, 7, 'hello'));
    own.taken(1, 3);
    expect(texts(own)).toEqual(['line 1', 'line 2', 'hello (sent)', 'hello (sending)']);
    own.taken(2, 4);
    own.add(line(4, 7, 'hello'));
    own.add(line(4, 7, 'hello'));
    expect(texts(own)).toEqual(['line 1', 'line 2', 'hello (sent)', 'hello (sent)']);
  });

  it('keeps a line that the room declined until it is taken back', () => {
    const own = feed();
    own.say(1, 'too much', 1_003);
    expect(own.declined(1, 'Slow down.')).toBe('too much');
    expect(own.shown.at(-1)).toMatchObject({ state: 'declined', reason: 'Slow down.' });
    const key = own.shown.at(-1)?.key ?? '';
    expect([own.takeBack(key), own.takeBack(key)]).toEqual(['too much', undefined]);
    expect(own.declined(99, 'Unknown.')).toBeUndefined();
  });

  it('keeps what is on its way over a short loss, and does not show twice what arrived', () => {
    const own = feed();
    own.say(1, 'one', 1_003);
    own.taken(1, 3);
    own.say(2, 'two', 1_004);
    own.welcome(ADA, [line(1), line(2), line(3, 7, 'one')]);
    expect(texts(own)).toEqual(['line 1', 'line 2', 'one (sent)', 'two (sending)']);
    own.welcome(ADA, undefined);
    expect(texts(own)).toEqual(['line 1', 'line 2', 'one (sent)', 'two (sending)']);
    expect(own.unsent).toEqual(['two']);
  });

  it('drops what the room took without saying as which line: it is among those that come', () => {
    const own = feed();
    own.say(1, 'hello', 1_003);
    own.welcome(ADA, [line(1), line(2), line(3, 7, 'hello')]);
    own.taken(1, 0);
    expect(texts(own)).toEqual(['line 1', 'line 2', 'hello (sent)']);
  });

  it('has room for so many lines, and for notices among them', () => {
    const own = feed();
    for (let entry = 3; entry < 500; entry += 1) own.add(line(entry));
    own.notice('The room is saved again.', 2_000);
    own.add(line(500));
    expect(own.shown).toHaveLength(LINES_MAX);
    expect(texts(own).slice(-2)).toEqual(['The room is saved again.', 'line 500']);
    expect(new Set(own.shown.map(({ key }) => key)).size).toBe(LINES_MAX);
  });
});
