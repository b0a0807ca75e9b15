/** Logs: JSON, one object a line, to standard error or to one file for each service. Secrets are cut out by name. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { destination, type LogFn, type Logger, pino, stdTimeFunctions } from 'pino';
import type { AuditLog } from '../admin/audit-log.js';
import type { RequestObserver } from '../s3/request-observer.js';
import type { Configuration } from './configuration.js';
import { fileError } from './system-error.js';

const SECRET_FIELDS = [
  'secret',
  'secretKey',
  'secretAccessKey',
  'token',
  'authorization',
  'password',
  'masterKey',
  'masterKeys',
  'customerKey',
  'dataKey',
  'wrappingKey',
  'TALLY_SECRET_KEY',
  'TALLY_SET_SECRET',
  'TALLY_ADMIN_TOKEN',
  'TALLY_ADMIN_READ_TOKEN',
  'readToken',
  'TALLY_METRICS_TOKEN',
];
const STANDARD_ERROR = 2;

/** How deep in a logged object a secret is still found. */
const REDACTED_PATHS = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);

/** Bytes of the access log that may wait in memory, and for how long. A crash loses them, and nothing else. */
const ACCESS_LOG_BUFFER_BYTES = 8 * 1024;
const ACCESS_LOG_FLUSH_MS = 1000;

type LogSettings = Pick<Configuration, 'log'>;

function optionsOf(service: string, level: string) {
  return {
    level,
    base: { service, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: REDACTED_PATHS, censor: '[secret]' },
    hooks: { logMethod: logSafely },
  };
}

/**
 * No fact that can't be written stops a process: the line comes without its facts, and says so. The redaction copies objects field by field,
 * which throws for what has bytes in it, as errors of libraries do.
 */
function logSafely(this: Logger, parameters: Parameters<LogFn>, method: LogFn): void {
  try {
    method.apply(this, parameters);
  } catch (error) {
    const [facts, message]: readonly unknown[] = parameters;
    const { err, error: other } = (facts ?? {}) as { readonly err?: unknown; readonly error?: unknown };
    const cause = err ?? other;
    const failure = cause instanceof Error ? { failure: cause.stack } : {};
    method.call(
      this,
      { ...failure, unloggable: String(error) },
      typeof message === 'string' ? message : 'facts that can not be written',
    );
  }
}

function fileIn(folder: string, name: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, `${name}.log`);
  } catch (error) {
    throw fileError(error, 'The folder of the logs', folder);
  }
}

/** Throws OperationalError when the log's folder can't be used. */
export function makeLogger(service: string, { log }: LogSettings): Logger {
  const options = optionsOf(service, log.level);
  // Synchronous: the last words of a process that dies are the ones that matter.
  if (log.folder === null) return pino(options, destination({ dest: STANDARD_ERROR, sync: true }));
  const dest = fileIn(log.folder, service);
  try {
    return pino(options, destination({ dest, sync: true, mode: 0o600 }));
  } catch (error) {
    throw fileError(error, 'The folder of the logs', log.folder);
  }
}

function auditLogger(service: string, { log }: LogSettings): Logger {
  return makeLogger(log.folder === null ? service : 'audit', {
    log: { ...log, level: 'info' },
  }).child({ log: 'audit' });
}

export interface CommandAudit {
  readonly action: string;
  readonly target: string;
  /** Who is logged in here. */
  readonly user: string;
}

/** What an operator did by a command that needs no running gateway. Without a folder there is no log to write it to. */
export function makeCommandAudit(settings: LogSettings): (entry: CommandAudit) => void {
  if (settings.log.folder === null) return () => undefined;
  const audit = auditLogger('command', settings);
  return (entry) => {
    audit.info(entry, 'an operator acted');
  };
}

/** What an operator did by changing a file that a service has in use. */
export type AuditNote = (facts: object, message: string) => void;

export function makeAuditNote(service: string, settings: LogSettings): AuditNote {
  const audit = auditLogger(service, settings);
  return (facts, message) => {
    audit.info(facts, message);
  };
}

/** What operators did: <folder>/audit.log, or lines with `"log":"audit"` among the others. No level turns it off. */
export function makeAuditLog(service: string, settings: LogSettings): AuditLog {
  const audit = auditLogger(service, settings);
  return {
    record: (entry) => {
      audit.info(entry, 'an operator acted');
    },
  };
}

export interface AccessLog extends Pick<RequestObserver, 'requestEnded'> {
  /** Puts on disk what waits. */
  close(): Promise<void>;
}

/** One line for each S3 request: <folder>/access.log, or lines with `"log":"access"` among the others. Null: not wanted. */
export function makeAccessLog(service: string, { log }: LogSettings): AccessLog | null {
  if (!log.hasAccessLog) return null;
  const dest = log.folder === null ? STANDARD_ERROR : fileIn(log.folder, 'access');
  const stream = destination({
    dest,
    sync: false,
    minLength: ACCESS_LOG_BUFFER_BYTES,
    periodicFlush: ACCESS_LOG_FLUSH_MS,
    mode: 0o600,
  });
  const access = pino(optionsOf(service, 'info'), stream).child({ log: 'access' });
  // A log that can't be written is no reason to turn requests away.
  stream.on('error', () => undefined);
  return {
    requestEnded: (request) => {
      access.info(request, 'S3 request');
    },
    close: async () => {
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.end();
      });
    },
  };
}
