import type { ExitCode } from './exit-codes.js';

/** The world's failure or the operator's mistake, in one sentence for a person. Ends the command with `exitCode`. */
export class OperationalError extends Error {
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(code: string, exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OperationalError';
    this.code = code;
    this.exitCode = exitCode;
  }
}
