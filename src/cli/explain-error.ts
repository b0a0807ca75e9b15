/** Turns whatever a command threw into one sentence and an exit code. The one place that does. */
import { PlacementFileError } from '../gateway/placement/placement-file.js';
import { AuthoritySuperseded, AuthorityStateError } from '../gateway/authority-storage.js';
import { InvariantViolation } from '../protocol/invariant.js';
import { StoreError } from '../store/object-store.js';
import { OsdRefusal, OsdUnreachable } from '../wire/osd-connection.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { asSentence } from './sentence.js';
import { systemCodeOf } from './system-error.js';

export interface Explanation {
  /** Stable; for `--json`. */
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

export function explainError(error: unknown): Explanation {
  if (error instanceof OperationalError) {
    return { code: error.code, message: error.message, exitCode: error.exitCode };
  }
  if (!(error instanceof Error)) return { code: 'unknown', message: String(error), exitCode: EXIT.bug };
  const message = asSentence(error.message);
  if (error instanceof InvariantViolation) {
    return { code: 'broken-invariant', message: `A bug of Tally: ${error.message}.`, exitCode: EXIT.bug };
  }
  if (error instanceof AuthoritySuperseded) return { code: error.code, message, exitCode: EXIT.superseded };
  if (error instanceof AuthorityStateError || error instanceof PlacementFileError) {
    return { code: error.code, message, exitCode: EXIT.storage };
  }
  if (error instanceof StoreError) {
    return {
      code: error.code,
      message,
      exitCode: error.code === 'in-use' ? EXIT.folderUnusable : EXIT.storage,
    };
  }
  if (error instanceof OsdUnreachable || error instanceof OsdRefusal) {
    return { code: error.code, message, exitCode: EXIT.unavailable };
  }
  const systemCode = systemCodeOf(error);
  if (systemCode !== null && 'syscall' in error) {
    const exitCode = systemCode === 'EACCES' || systemCode === 'EPERM' ? EXIT.permission : EXIT.storage;
    return { code: systemCode, message, exitCode };
  }
  return { code: 'bug', message: `A bug of Tally: ${error.message}`, exitCode: EXIT.bug };
}
