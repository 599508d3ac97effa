import { describe, expect, it } from 'vitest';
import { openStore } from '../store';
import { Budget } from './budget';

describe('a budget', () => {
  it('counts a minute back, over pages of one tab, until a person decides', () => {
    const store = openStore(() => { throw new Error('denied'); });
    let now = 1_000_000;
    const page = (): Budget => new Budget(store, 'joins', 3, () => now);
    for (let count = 0; count < 5; count += 1) {
      page().note();
      now += 10_000;
    }
    expect([page().used, page().isSpent]).toEqual([3, true]);
    now += 40_000;
    expect([page().used, page().isSpent]).toEqual([1, false]);
    page().note();
    page().clear();
    expect(page().used).toBe(0);
  });

  it('forgets what a clock that was set back counted, and nonsense', () => {
    const store = openStore(() => { throw new Error('denied'); });
    let now = 1_000_000;
    const budget = new Budget(store, 'joins', 1, () => now);
    budget.note();
    now -= 3_600_000;
    expect(budget.isSpent).toBe(false);
    store.set('joins', 'x  1e999 -');
    expect(budget.used).toBe(0);
  });
});
