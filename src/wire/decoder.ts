/** Turns a schema into a function that types JSON from outside. Compiled on first use: importing a module does no work. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Clean } from 'typebox/value';
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

type Amend = (schema: TSchema, value: unknown) => unknown;

function makeAnyDecoder<Schema extends TSchema>(
  name: string,
  schema: Schema,
  amend: Amend,
): Decoder<Static<Schema>> {
  let validation: Validation<Static<Schema>> | null = null;
  const decode = (value: unknown): Static<Schema> => {
    validation ??= compile(schema);
    if (validation.isValid(value)) return value;
    const amended = amend(schema, value);
    if (validation.isValid(amended)) return amended;
    throw new MalformedMessage(`${name} ${validation.faultOf(amended)}`);
  };
  return { decode, decodeBytes: (body) => decode(parseJson(body.toString('utf8'))) };
}

/** Of requests: a member that the schema does not know is refused. `name` begins the message of what does not pass. */
export function makeDecoder<Schema extends TSchema>(name: string, schema: Schema): Decoder<Static<Schema>> {
  return makeAnyDecoder(name, schema, (_schema, value) => value);
}

/** Of answers: a member that the schema does not know is dropped (contract-version.ts), so that it is not passed on in a request either. */
export function makeAnswerDecoder<Schema extends TSchema>(
  name: string,
  schema: Schema,
): Decoder<Static<Schema>> {
  return makeAnyDecoder(name, schema, Clean);
}
