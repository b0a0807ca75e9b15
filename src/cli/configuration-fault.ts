/** What is said of a configuration that makes no sense, and of which setting. */
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

/** Names and indices from the top: `mirrorSet`, `members`, `1`, `url`. */
export type SettingPath = readonly (string | number)[];

/** The file that the setting stands in is not known here: whoever read it says where. */
export class ConfigurationFault extends OperationalError {
  readonly setting: SettingPath;

  constructor(message: string, setting: SettingPath, options?: ErrorOptions) {
    super('bad-configuration', EXIT.configuration, message, options);
    this.name = 'ConfigurationFault';
    this.setting = setting;
  }
}

export function fail(message: string, setting: SettingPath, cause?: unknown): never {
  throw new ConfigurationFault(message, setting, { cause });
}

/** RangeErrors of what `read` constructs become such a fault. `name`: of the setting, for people. */
export function checked<Value>(read: () => Value, setting: SettingPath, name = setting.join('.')): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) fail(`${name}: ${error.message}.`, setting, error);
    throw error;
  }
}
