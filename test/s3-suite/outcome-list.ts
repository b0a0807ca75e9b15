/**
 * The list of every test of the suite with its outcome, as it stands in `outcomes.txt`:
 *
 *   # comment
 *   [name of the feature] file of ours that holds the feature's claims in our words ...
 *   passed  aws  test_s3.py::test_bucket_list_empty
 *   failed  -    test_s3.py::test_account_usage: reason in words
 *
 * `aws` marks the tests that AWS itself passes, as far as the suite says: neither `fails_on_aws` nor `bucket_logging`.
 */
import { FEATURES, featureOf, type Feature } from './features.js';

const OUTCOMES = ['passed', 'failed', 'skipped'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface ListedTest {
  /** file::name */
  readonly id: string;
  readonly outcome: Outcome;
  readonly passesOnAws: boolean;
  /** Why it fails or is skipped; empty when it passes. */
  readonly reason: string;
}

const LINE = /^(passed|failed|skipped) +(aws|-) +(\S+?)(?:: (.+))?$/;

/** Throws Error for a line that is none of the format. */
export function parseOutcomeList(text: string): ListedTest[] {
  const tests: ListedTest[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || line.startsWith('[')) continue;
    const [, word, aws, id, reason = ''] = LINE.exec(line) ?? [];
    const outcome = OUTCOMES.find((candidate) => candidate === word);
    if (outcome === undefined || id === undefined) throw new Error(`line ${index + 1} is no test: ${line}`);
    tests.push({ id, outcome, passesOnAws: aws === 'aws', reason });
  }
  return tests;
}

function testLine({ id, outcome, passesOnAws, reason }: ListedTest): string {
  const mark = passesOnAws ? 'aws' : '-';
  return `${outcome.padEnd(7)} ${mark.padEnd(3)} ${id}${reason === '' ? '' : `: ${reason}`}`;
}

function featureSection(feature: Feature, tests: readonly ListedTest[]): string[] {
  const own = tests.filter(({ id }) => featureOf(id) === feature);
  if (own.length === 0) return [];
  const ours = feature.ours.length === 0 ? 'nothing of ours' : feature.ours.join(' ');
  return ['', `[${feature.name}] ${ours}`, ...own.map(testLine)];
}

/** `heading` is comment lines without their `#`. */
export function renderOutcomeList(heading: readonly string[], tests: readonly ListedTest[]): string {
  const lines = heading.map((line) => `# ${line}`.trimEnd());
  for (const feature of FEATURES) lines.push(...featureSection(feature, tests));
  return `${lines.join('\n')}\n`;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly total: number;
}

export function totalsOf(tests: readonly ListedTest[]): Totals {
  const count = (wanted: Outcome) => tests.filter(({ outcome }) => outcome === wanted).length;
  return {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    total: tests.length,
  };
}

/** The three sums that count, by the words that README and the runner have for them. */
export const SUMS: readonly { readonly name: string; includes: (test: ListedTest) => boolean }[] = [
  { name: '`test_s3.py`', includes: ({ id }) => id.startsWith('test_s3.py::') },
  {
    name: '`test_s3.py`, of those that AWS passes',
    includes: ({ id, passesOnAws }) => id.startsWith('test_s3.py::') && passesOnAws,
  },
  { name: '`test_headers.py`', includes: ({ id }) => id.startsWith('test_headers.py::') },
];

/** Rows of a table: name, passed, failed, skipped, of how many. */
export function summarize(tests: readonly ListedTest[]): string[] {
  return SUMS.map(({ name, includes }) => {
    const { passed, failed, skipped, total } = totalsOf(tests.filter(includes));
    return `| ${name} | ${passed} | ${failed} | ${skipped} | ${total} |`;
  });
}

/** What is not as the list has it, in words. Tests that did not run (of a part of the suite) are no difference. */
export function compareWithList(list: readonly ListedTest[], ran: readonly ListedTest[]): string[] {
  const listed = new Map(list.map((test) => [test.id, test]));
  return ran.flatMap((test) => {
    const before = listed.get(test.id);
    if (before === undefined) return [`${test.id} is not in the list: it ${test.outcome}, ${test.reason}`];
    if (before.outcome === test.outcome) return [];
    return [
      `${test.id}: ${before.outcome} in the list, ${test.outcome} now${test.reason === '' ? '' : `: ${test.reason}`}`,
    ];
  });
}

/** What ran takes the place of what was listed. Reasons that people wrote stay while the outcome does. */
export function updateList(list: readonly ListedTest[], ran: readonly ListedTest[]): ListedTest[] {
  const listed = new Map(list.map((test) => [test.id, test]));
  for (const test of ran) {
    const before = listed.get(test.id);
    const isAsBefore = before?.outcome === test.outcome;
    listed.set(test.id, isAsBefore ? { ...test, reason: before.reason } : test);
  }
  return [...listed.values()];
}
