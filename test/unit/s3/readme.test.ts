import { expect, it } from 'vitest';
import { OPERATION_NAMES } from '../../../src/s3/operations/names.js';
import { renderReadme } from '../../docs/operations-table.js';

it('README has the operations that the code has ("npm run docs" writes them)', async () => {
  const { present, wanted } = await renderReadme();
  expect(present).toBe(wanted);
  for (const name of OPERATION_NAMES) expect(present).toContain(name);
});
