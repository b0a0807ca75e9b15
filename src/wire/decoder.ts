/** Turns a schema into a function that types JSON from outside. Compiled on first use: importing a module does no work. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from './frame.js';
import { MalformedMessage } from './malformed-message.js';

export interface Decoder<Value> {
  /** Types parsed JSON. Throws MalformedMessage. */
  decode(value: unknown): Value;
  /** Parses and types. Throws MalformedMessage. */
  decodeBytes(body: Buffer): Value;
}

interface Validation<Value> {
  isValid(value: unknown): value is Value;
  faultOf(value: unknown): string;
}

function compile<Schema extends TSchema>(schema: Schema): Validation<Static<Schema>> {
  const validator = Compile(schema);
  return {
    isValid: (value): value is Static<Schema> => validator.Check(value),
    faultOf: (value) => {
      const [fault] = validator.Errors(value);
      return fault === undefined ? 'is malformed' : `${fault.instancePath} ${fault.message}`;
    },
  };
}

/** `name` begins the message of what does not pass. */
export function makeDecoder<Schema extends TSchema>(name: string, schema: Schema): Decoder<Static<Schema>> {
  let validation: Validation<Static<Schema>> | null = null;
  const decode = (value: unknown): Static<Schema> => {
    validation ??= compile(schema);
    if (validation.isValid(value)) return value;
    throw new MalformedMessage(`${name} ${validation.faultOf(value)}`);
  };
  return { decode, decodeBytes: (body) => decode(parseJson(body.toString('utf8'))) };
}
