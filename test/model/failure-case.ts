/**
 * A case of FAILURES.md as two tests: the trace ends well under the rules, and badly when one of them is switched off. A
 * trace that ends well either way would prove nothing.
 */
import { describe, expect, it } from 'vitest';
import { type Rules, withRules } from './rules.js';
import { Scenario } from './scenario.js';
import type { ViolationCode } from './violation.js';

export interface FailureCase {
  /** Two, when it is not said. */
  readonly mirrors?: number;
  readonly trace: (scenario: Scenario) => void;
  /** Rules that are off in both tests: a second line of defence that would hide what the first one does. */
  readonly alreadyOff?: Partial<Rules>;
  /** What the checkers say in both tests because of `alreadyOff`. */
  readonly tolerated?: readonly ViolationCode[];
  /** The rule, in words. */
  readonly rule: string;
  readonly off: Partial<Rules>;
  readonly ends: ViolationCode;
  readonly judgesHopeless?: boolean;
}

export function failureCase(claim: string, failure: FailureCase): void {
  const { mirrors = 2, judgesHopeless = false, alreadyOff = {}, tolerated = [] } = failure;
  const run = (changed: Partial<Rules>): { readonly codes: ViolationCode[]; readonly trace: string } => {
    const scenario = new Scenario({ rules: withRules(changed), mirrors, judgesHopeless });
    failure.trace(scenario);
    return {
      codes: scenario.codes.filter((code) => !tolerated.includes(code)),
      trace: scenario.world.trace.join('\n'),
    };
  };
  describe(claim, () => {
    it('ends well', () => {
      const { codes, trace } = run(alreadyOff);
      expect(codes, trace).toEqual([]);
    });
    it(`without the rule (${failure.rule}) it ends: ${failure.ends}`, () => {
      const { codes, trace } = run({ ...alreadyOff, ...failure.off });
      expect(codes, trace).toContain(failure.ends);
    });
  });
}
