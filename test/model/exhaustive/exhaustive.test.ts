/** A slice of the model check (main.ts): no rule off finds nothing, a rule off finds its counterexample. */
import { describe, expect, it } from 'vitest';
import { type Rules, withRules } from '../rules.js';
import { Model } from './model.js';
import { search } from './search.js';
import { boundsOf, switches } from './switches.js';

const STATES_MAX = 20_000;
const STATES_OF_SWITCH_MAX = 20_000;

describe('every state near the first one keeps the invariants', () => {
  it.each([
    { mirrors: 2, isOnline: false },
    { mirrors: 2, isOnline: true },
    { mirrors: 3, isOnline: true },
  ])('I1 to I7: $mirrors mirrors, online $isOnline', (set) => {
    const { states, violation } = search(new Model(withRules(), boundsOf(set)), STATES_MAX);
    expect(violation).toBeNull();
    expect(states).toBe(STATES_MAX);
  });
});

describe('every rule has an off-switch: without it there is a counterexample, where with it there is none', () => {
  it.each(switches)('$id ($length steps): $rule', ({ off, alreadyOff = {}, bounds, length }) => {
    const set = boundsOf({ mirrors: bounds?.mirrors ?? 2, isOnline: bounds?.isOnline ?? false });
    const model = (changed: Partial<Rules>): Model => new Model(withRules(changed), { ...set, ...bounds });
    const { violation, states } = search(model({ ...alreadyOff, ...off }), STATES_OF_SWITCH_MAX);
    expect(violation).not.toBeNull();
    expect((bounds?.after ?? []).length + (violation?.trace.length ?? 0)).toBe(length);
    expect(search(model(alreadyOff), states).violation).toBeNull();
  });
});
