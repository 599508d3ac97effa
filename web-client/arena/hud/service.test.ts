import { describe, expect, it } from 'vitest';
import { SENTENCES, ServiceNote } from './service';

describe('service note', () => {
  it('has a plain sentence for every cause, and none while all is well', () => {
    const { none, ...causes } = SENTENCES;
    expect(none).toBe('');
    for (const sentence of Object.values(causes)) expect(sentence).toMatch(/^(Your|The|Nothing) [^!.]+: [^!.]+\.$/);
    expect(new Set(Object.values(causes)).size).toBe(5);
  });

  it('shows the sentence, and hides it when all is well again', () => {
    const note = { hidden: true, textContent: '' };
    const shown = new ServiceNote(note);
    shown.show('busy server');
    expect(note).toEqual({ hidden: false, textContent: 'The server is busy: others move less smoothly.' });
    shown.show('slow server');
    expect(note.textContent).toMatch(/slower for everybody/);
    shown.show('none');
    expect(note).toEqual({ hidden: true, textContent: '' });
  });

  it('says for how long the server paused, and tells a longer pause anew', () => {
    const note = { hidden: true, textContent: '' };
    const shown = new ServiceNote(note);
    shown.show('paused server', 1_483);
    expect(note).toEqual({ hidden: false, textContent: 'The server paused for 1.5 s.' });
    shown.show('paused server', 4_020);
    expect(note.textContent).toBe('The server paused for 4.0 s.');
    shown.show('none');
    expect(note).toEqual({ hidden: true, textContent: '' });
  });
});
