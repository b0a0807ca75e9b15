/** Reads the report that pytest writes with `--junitxml`. */
import { SaxesParser } from 'saxes';
import type { ListedTest, Outcome } from './outcome-list.js';

const REASON_LENGTH_MAX = 200;

interface OpenTest {
  id: string;
  outcome: Outcome;
  passesOnAws: boolean;
  reason: string;
}

/** `s3tests.functional.test_s3` and a test's name are `test_s3.py::name`. */
function testId(attributes: Readonly<Record<string, string>>): string {
  const module = (attributes['classname'] ?? '').split('.').at(-1) ?? '';
  return `${module}.py::${(attributes['name'] ?? '').replaceAll(/\s/g, '_')}`;
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').trim().slice(0, REASON_LENGTH_MAX);
}

/** The reasons are what pytest says; people put better ones into the list. */
export function readJunitReport(xml: string): ListedTest[] {
  const tests: ListedTest[] = [];
  let open: OpenTest | null = null;
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name, attributes }) => {
    if (name === 'testcase')
      open = { id: testId(attributes), outcome: 'passed', passesOnAws: false, reason: '' };
    if (open === null) return;
    if (name === 'property' && attributes['name'] === 'passes on AWS')
      open.passesOnAws = attributes['value'] === 'yes';
    // What a test leaves behind is not its outcome.
    if (name === 'error' && (attributes['message'] ?? '').startsWith('failed on teardown')) return;
    if (name === 'failure' || name === 'error' || name === 'skipped') {
      open.outcome = name === 'skipped' ? 'skipped' : 'failed';
      open.reason = firstLine(attributes['message'] ?? '') || name;
    }
  });
  parser.on('closetag', ({ name }) => {
    if (name !== 'testcase' || open === null) return;
    tests.push(open);
    open = null;
  });
  parser.write(xml).close();
  return tests;
}
