/** The list of the public suite's tests, as committed: what it must say, and that README says the same. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FEATURES, featureOf } from '../../s3-suite/features.js';
import { readJunitReport } from '../../s3-suite/junit-report.js';
import {
  compareWithList,
  parseOutcomeList,
  renderOutcomeList,
  SUMS,
  summarize,
  totalsOf,
  updateList,
  type ListedTest,
} from '../../s3-suite/outcome-list.js';
import { repositoryRoot } from '../../support/repository.js';

const LIST = parseOutcomeList(readFileSync(join(repositoryRoot, 'test/s3-suite/outcomes.txt'), 'utf8'));
/** Of Ceph's own gateway (20.2.4): the bar. */
const PASSED_BY_CEPH = [639, 531] as const;

function listed(overrides: Partial<ListedTest>): ListedTest {
  return { id: 'test_s3.py::test_a', outcome: 'passed', passesOnAws: true, reason: '', ...overrides };
}

describe('the committed list of ceph/s3-tests', () => {
  it('has every test of the suite once', () => {
    expect(new Set(LIST.map(({ id }) => id)).size).toBe(LIST.length);
    expect(SUMS.map(({ includes }) => LIST.filter(includes).length)).toEqual([835, 597, 48]);
  });

  it('gives each test that does not pass a reason, in words', () => {
    const mute = LIST.filter(({ outcome, reason }) => outcome !== 'passed' && reason === '');
    expect(mute).toEqual([]);
    const raw = LIST.filter(({ reason }) => /Error|assert|An error occurred/.test(reason));
    expect(raw).toEqual([]);
  });

  it.each(PASSED_BY_CEPH.map((bar, index) => [SUMS[index]!.name, bar, index] as const))(
    'passes more of %s than the %i of Ceph',
    (_name, bar, index) => {
      expect(totalsOf(LIST.filter(SUMS[index]!.includes)).passed).toBeGreaterThan(bar);
    },
  );

  it('README has its figures', () => {
    const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8').replaceAll(/ +/g, ' ');
    for (const row of summarize(LIST)) expect(readme).toContain(row);
  });

  it('names tests of ours that are there, for every feature that Tally has', () => {
    const files = FEATURES.flatMap(({ ours }) => ours).map((file) => join(repositoryRoot, 'test', file));
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
    const passing = LIST.filter(({ outcome }) => outcome === 'passed').map(({ id }) => featureOf(id));
    const without = new Set(passing.filter(({ ours }) => ours.length === 0).map(({ name }) => name));
    expect([...without]).toEqual([]);
  });
});

describe('outcome lists', () => {
  const tests = [
    listed({}),
    listed({
      id: 'test_s3.py::test_copy[x-y-1]',
      outcome: 'failed',
      passesOnAws: false,
      reason: 'why: because',
    }),
    listed({ id: 'test_headers.py::test_b', outcome: 'skipped', reason: 'no' }),
  ];

  it('what is written is read again', () => {
    const text = renderOutcomeList(['heading'], tests);
    expect(text).toMatch(/^# heading\n/);
    const sorted = (list: readonly ListedTest[]) => [...list].sort((a, b) => (a.id < b.id ? -1 : 1));
    expect(sorted(parseOutcomeList(text))).toEqual(sorted(tests));
  });

  it('a line that is no test is an error with its number', () => {
    expect(() => parseOutcomeList('# a\npassed test')).toThrow('line 2');
  });

  it('a run of a part differs only where its own tests do', () => {
    expect(compareWithList(tests, [tests[0]!])).toEqual([]);
    expect(compareWithList(tests, [listed({ outcome: 'failed', reason: 'new' })])).toEqual([
      'test_s3.py::test_a: passed in the list, failed now: new',
    ]);
    expect(compareWithList(tests, [listed({ id: 'test_s3.py::test_new' })])).toHaveLength(1);
  });

  it('an update keeps the reasons of what is as it was', () => {
    const ran = [listed({ id: 'test_s3.py::test_copy[x-y-1]', outcome: 'failed', reason: 'AssertionError' })];
    expect(updateList(tests, ran).find(({ id }) => id.includes('copy'))?.reason).toBe('why: because');
    expect(updateList(tests, [listed({ outcome: 'failed', reason: 'new' })])[0]?.reason).toBe('new');
  });
});

describe("pytest's report", () => {
  it('is read with outcome, reason and whether AWS passes', () => {
    const xml = `<?xml version="1.0"?><testsuites><testsuite name="pytest">
      <testcase classname="s3tests.functional.test_s3" name="test_a"><properties>
        <property name="passes on AWS" value="yes"/></properties></testcase>
      <testcase classname="s3tests.functional.test_s3" name="test_b"><properties>
        <property name="passes on AWS" value="no"/></properties><failure message="first&#10;second">x</failure></testcase>
      <testcase classname="s3tests.functional.test_headers" name="test_c"><skipped message="no">x</skipped></testcase>
    </testsuite></testsuites>`;
    expect(readJunitReport(xml)).toEqual([
      listed({}),
      listed({ id: 'test_s3.py::test_b', outcome: 'failed', passesOnAws: false, reason: 'first' }),
      listed({ id: 'test_headers.py::test_c', outcome: 'skipped', passesOnAws: false, reason: 'no' }),
    ]);
  });
});
