/** `npm run docs`: brings README's table of operations up to the code. */
import { writeFile } from 'node:fs/promises';
import { README, renderReadme } from './operations-table.js';

const { present, wanted } = await renderReadme();
if (wanted === present) {
  process.stdout.write('README.md is as the code has it.\n');
} else {
  await writeFile(README, wanted);
  process.stdout.write('README.md has been written.\n');
}
