/** Logs: JSON, one object a line, to standard error or to one file for each service. Secrets are cut out by name. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Configuration } from './configuration.js';
import { fileError } from './system-error.js';

const SECRET_FIELDS = [
  'secret',
  'secretKey',
  'secretAccessKey',
  'token',
  'authorization',
  'password',
  'TALLY_SECRET_KEY',
  'TALLY_SET_SECRET',
  'TALLY_ADMIN_TOKEN',
];
const STANDARD_ERROR = 2;

/** How deep in a logged object a secret is still found. */
const REDACTED_PATHS = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);

/** Throws OperationalError when the log's folder can't be used. */
export function makeLogger(service: string, { log }: Pick<Configuration, 'log'>): Logger {
  const options = {
    level: log.level,
    base: { service, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: REDACTED_PATHS, censor: '[secret]' },
  };
  // Synchronous: the last words of a process that dies are the ones that matter.
  if (log.folder === null) return pino(options, destination({ dest: STANDARD_ERROR, sync: true }));
  try {
    mkdirSync(log.folder, { recursive: true, mode: 0o700 });
    return pino(options, destination({ dest: join(log.folder, `${service}.log`), sync: true, mode: 0o600 }));
  } catch (error) {
    throw fileError(error, 'The folder of the logs', log.folder);
  }
}
