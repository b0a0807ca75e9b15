/** `tally config check` and `tally config show`: is it right, and what does it come to? */
import { stringify } from 'yaml';
import type { Configuration } from './configuration.js';
import { missingFiles } from './configured-files.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export const HIDDEN = '(hidden)';
/** Settings whose text is a secret. Names of files stay: they are what one looks for. */
const SECRET_SETTINGS: readonly string[] = ['text', 'secretKey'];

/** The same with every secret hidden, at any depth. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET_SETTINGS.includes(name) && typeof item === 'string' ? HIDDEN : withoutSecrets(item),
    ]),
  );
}

/** Every setting as it holds, defaults included, without secrets. */
export function renderConfiguration(configuration: Configuration, isJson: boolean): string {
  const shown = withoutSecrets(configuration);
  return isJson ? `${JSON.stringify(shown, null, 2)}\n` : stringify(shown);
}

export function showConfiguration(configuration: Configuration, isJson: boolean): ExitCode {
  process.stdout.write(renderConfiguration(configuration, isJson));
  return EXIT.ok;
}

/** It was loaded, so it is right: what is wrong is thrown on the way, with file, line and column. Throws for files that are no good. */
export async function confirmConfiguration(configuration: Configuration, isJson: boolean): Promise<ExitCode> {
  const missing = await missingFiles(configuration);
  const text = [
    'The configuration is right.',
    ...(missing.length === 0
      ? []
      : ['What it names and this machine has not (a service that needs it does not start):']),
    ...missing.map((sentence) => `  ${sentence}`),
  ].join('\n');
  process.stdout.write(`${isJson ? JSON.stringify({ isValid: true, missingFiles: missing }) : text}\n`);
  return EXIT.ok;
}
