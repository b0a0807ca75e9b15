/** Errors of the operating system, in words that say what to do. */
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

/** The code of node's own errors (`ENOENT`), null for anything else. */
export function systemCodeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** Says of a file or folder why it can't be used. Errors that are not the operating system's are handed back. */
export function fileError(error: unknown, what: string, path: string): unknown {
  switch (systemCodeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return new OperationalError(
        'no-permission',
        EXIT.permission,
        `${what} ${path} can't be used: no permission.`,
        {
          cause: error,
        },
      );
    case 'EROFS':
      return new OperationalError(
        'read-only',
        EXIT.permission,
        `${what} ${path} is on a read-only file system.`,
        {
          cause: error,
        },
      );
    case 'ENOENT':
      return new OperationalError('not-found', EXIT.storage, `${what} ${path} does not exist.`, {
        cause: error,
      });
    case 'ENOTDIR':
    case 'EEXIST':
      return new OperationalError('not-a-folder', EXIT.folderUnusable, `${what} ${path} is not a folder.`, {
        cause: error,
      });
    case 'EISDIR':
      return new OperationalError(
        'not-a-file',
        EXIT.configuration,
        `${what} ${path} is a folder, not a file.`,
        {
          cause: error,
        },
      );
    case 'ENOSPC':
      return new OperationalError('no-space', EXIT.storage, `The disk with ${path} is full.`, {
        cause: error,
      });
    default:
      return error;
  }
}

/** Says why nobody can listen at an address. Errors that are not the operating system's are handed back. */
export function listenError(error: unknown, what: string, address: string): unknown {
  switch (systemCodeOf(error)) {
    case 'EADDRINUSE':
      return new OperationalError(
        'port-taken',
        EXIT.unavailable,
        `${address} is taken: ${what} can't listen there. Stop what uses it, or choose another port.`,
        { cause: error },
      );
    case 'EACCES':
      return new OperationalError('no-permission', EXIT.permission, `${what} may not listen at ${address}.`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new OperationalError(
        'address-unknown',
        EXIT.configuration,
        `${what} can't listen at ${address}: this machine has no such address.`,
        { cause: error },
      );
    default:
      return error;
  }
}
