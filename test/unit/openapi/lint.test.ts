/** Both documents against the linter's recommended rules. What the servers make of them is compared elsewhere. */
import { join } from 'node:path';
import { createConfig, lint } from '@redocly/openapi-core';
import { expect, it } from 'vitest';

const rules = {
  // The health of a process can't be asked for wrongly; an OSD's refusals are one default response.
  'operation-4xx-response': 'off',
} as const;

it.each(['admin', 'osd'])('openapi/%s.yaml keeps to the rules of OpenAPI', async (name) => {
  const config = await createConfig({ extends: ['recommended'], rules });
  const ref = join(import.meta.dirname, '../../../openapi', `${name}.yaml`);
  const problems = await lint({ ref, config });
  const told = problems.map(
    ({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer ?? ''})`,
  );
  expect(told).toEqual([]);
});
