/** Bytes from outside that are not what the contract says. The receiver did nothing with them. */
export class MalformedMessage extends Error {
  readonly code = 'malformed-message';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MalformedMessage';
  }
}

/** Runs `convert`, whose RangeErrors (of a brand's constructor) say that the message is malformed. */
export function malformedOnRangeError<Value>(convert: () => Value): Value {
  try {
    return convert();
  } catch (error) {
    if (error instanceof RangeError) throw new MalformedMessage(error.message, { cause: error });
    throw error;
  }
}
