import { describe, expect, it } from 'vitest';
import { openStore } from '../store';
import { Resume, SESSIONS_MAX } from './resume-token';

/** A browser's storage. */
function storage(from: ReadonlyMap<string, string> = new Map()): Storage & { entries: Map<string, string> } {
  const entries = new Map(from);
  return {
    entries,
    get length() { return entries.size; },
    key: () => null,
    clear: () => entries.clear(),
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
  };
}

const browser = storage();
const tab = (own: Storage): Resume => new Resume(openStore(() => own), openStore(() => browser), 'arena-i');

describe('a resume token', () => {
  // SPEC S3.6.
  it('goes to and fro between a tab and its duplicate', () => {
    const own = storage();
    const first = tab(own);
    first.keep('1.7.1.aa');
    const duplicate = tab(storage(own.entries));
    duplicate.keep('1.7.2.bb');
    expect(first.token).toBe('1.7.2.bb');
    first.keep('1.7.3.cc');
    expect(duplicate.token).toBe('1.7.3.cc');
    // Also over a load of the page.
    duplicate.keep('1.7.4.dd');
    expect(tab(own).token).toBe('1.7.4.dd');
  });

  it('of the tab itself counts where another tab has put an older one back', () => {
    const [own, other] = [storage(), storage()];
    tab(own).keep('1.6.9.aa');
    const before = browser.getItem('aerodrome.sessions') ?? '';
    tab(own).keep('1.6.10.bb');
    // The other tab read before that, and writes after it.
    browser.setItem('aerodrome.sessions', before);
    expect(tab(own).token).toBe('1.6.10.bb');
    tab(other).keep('1.5.1.cc');
    expect([tab(own).token, tab(other).token]).toEqual(['1.6.10.bb', '1.5.1.cc']);
    browser.setItem('aerodrome.sessions', 'arena-i/1.6 1.6.nonsense');
    expect(tab(own).token).toBe('1.6.10.bb');
  });

  it('is not shared by tabs that came one by one', () => {
    const [one, other] = [storage(), storage()];
    tab(one).keep('1.8.1.aa');
    tab(other).keep('1.9.1.bb');
    expect([tab(one).token, tab(other).token]).toEqual(['1.8.1.aa', '1.9.1.bb']);
    expect(tab(storage()).token).toBeUndefined();
    const elsewhere = new Resume(openStore(() => one), openStore(() => browser), 'field-x');
    expect(elsewhere.token).toBeUndefined();
  });

  it('that was refused is not shown again, a newer one is', () => {
    const own = storage();
    const resume = tab(own);
    resume.keep('2.1.1.aa');
    resume.refuse();
    resume.refuse();
    expect(resume.token).toBeUndefined();
    tab(storage(own.entries)).keep('2.1.2.bb');
    expect(resume.token).toBe('2.1.2.bb');
  });

  it('is forgotten by the tab that leaves, and by all after many others', () => {
    const [own, duplicate] = [storage(), storage()];
    tab(own).keep('3.1.1.aa');
    tab(duplicate).keep('3.1.2.bb');
    for (let session = 2; session < 100; session += 1) tab(storage()).keep(`3.${session}.1.cc`);
    expect(tab(own).token).toBe('3.1.1.aa');
    tab(own).forget();
    expect(tab(own).token).toBeUndefined();
    expect(browser.getItem('aerodrome.sessions')?.split('\n')).toHaveLength(SESSIONS_MAX);
  });

  it('says what its holder may do', () => {
    const resume = tab(storage());
    expect(resume.role).toBeUndefined();
    resume.keep('4.1.1.host.aa');
    expect(resume.role).toBe('host');
  });

  it('is of use on this page even where storage is denied', () => {
    const denied = openStore(() => { throw new Error('denied'); });
    const resume = new Resume(denied, denied, 'arena-i');
    resume.keep('1.1.1.aa');
    expect(resume.token).toBe('1.1.1.aa');
  });
});
