import { describe, expect, it } from 'vitest';
import { FULL_SERVICE, ServiceNote, serviceSentence } from './service';

describe('service', () => {
  it('says nothing while service is full', () => {
    expect(serviceSentence(FULL_SERVICE)).toBe('');
  });

  it('says the same plain sentence at every level below', () => {
    for (const level of [1, 2, 3, 4, 200]) {
      expect(serviceSentence({ level, slow: false })).toBe('The server is busy: others move less smoothly.');
    }
  });

  it('says that time runs slower, whatever else is left out', () => {
    for (const level of [0, 4]) {
      expect(serviceSentence({ level, slow: true })).toBe('The server is very busy: time runs slower for everybody.');
    }
  });

  it('shows the sentence, and hides it when service is full again', () => {
    const note = { hidden: true, textContent: '' };
    const shown = new ServiceNote(note);
    shown.show({ level: 1, slow: false });
    expect(note).toEqual({ hidden: false, textContent: 'The server is busy: others move less smoothly.' });
    shown.show({ level: 4, slow: true });
    expect(note.textContent).toMatch(/slower for everybody/);
    shown.show(FULL_SERVICE);
    expect(note).toEqual({ hidden: true, textContent: '' });
  });
});
