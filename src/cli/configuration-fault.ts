/** What is said of a configuration that makes no sense. */
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

export function fail(message: string, cause?: unknown): never {
  throw new OperationalError('bad-configuration', EXIT.configuration, message, { cause });
}

/** RangeErrors of what `read` constructs become such a fault. */
export function checked<Value>(read: () => Value, setting: string): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) fail(`${setting}: ${error.message}.`, error);
    throw error;
  }
}
