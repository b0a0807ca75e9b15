/** openapi/admin.yaml as a test sees it: its operations, and a check of a value against one of its schemas. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Compile } from 'typebox/schema';
import { parse } from 'yaml';

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: unknown, what: string): Json {
  if (!isObject(value)) throw new Error(`${what} is no object`);
  return value;
}

const documentPath = join(import.meta.dirname, '../../../openapi/admin.yaml');
const document = asObject(parse(readFileSync(documentPath, 'utf8')), 'openapi/admin.yaml');

function lookUp(reference: string): unknown {
  return reference
    .split('/')
    .slice(1)
    .reduce<unknown>((place, name) => asObject(place, reference)[name], document);
}

/** Replaces every $ref by what it refers to. */
function resolveReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolveReferences);
  if (!isObject(value)) return value;
  if (typeof value['$ref'] === 'string') return resolveReferences(lookUp(value['$ref']));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolveReferences(item)]));
}

export interface ContractResponse {
  readonly operation: string;
  readonly status: number;
  readonly contentType: string;
  readonly headers: readonly string[];
  readonly examples: readonly unknown[];
  faultsOf(value: unknown): string[];
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

function responsesOf(operation: string, described: Json): ContractResponse[] {
  const responses = asObject(resolveReferences(described['responses']), `${operation} responses`);
  return Object.entries(responses).flatMap(([status, response]) => {
    const { content, headers } = asObject(response, `${operation} ${status}`);
    return Object.entries(asObject(content ?? {}, `${operation} ${status} content`)).map(
      ([contentType, media]) => {
        const { schema, example, examples } = asObject(media, contentType);
        const named = isObject(examples)
          ? Object.values(examples).map((item) => asObject(item, 'example')['value'])
          : [];
        const validator = Compile(asObject(schema, 'schema'));
        return {
          operation,
          status: Number(status),
          contentType,
          headers: isObject(headers) ? Object.keys(headers) : [],
          examples: example === undefined ? named : [example, ...named],
          faultsOf: (value: unknown) => {
            const [isValid, errors] = validator.Errors(value);
            return isValid ? [] : errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
          },
        };
      },
    );
  });
}

const paths = Object.entries(asObject(document['paths'], 'paths'));
const described = paths.flatMap(([path, item]) =>
  Object.entries(asObject(item, path))
    .filter(([method]) => methods.includes(method))
    .map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation: asObject(operation, `${method} ${path}`),
    })),
);

/** `GET /reconcile/{id}` and so on. */
export const contractOperations: readonly string[] = described.map(({ name }) => name);

export const openOperations: readonly string[] = described
  .filter(({ operation }) => Array.isArray(operation['security']) && operation['security'].length === 0)
  .map(({ name }) => name);

const defaultSecurity = document['security'];

/** The security schemes that open an operation. */
export const contractSecurity: ReadonlyMap<string, readonly string[]> = new Map(
  described.map(({ name, operation }) => {
    const security = operation['security'] ?? defaultSecurity;
    if (!Array.isArray(security)) throw new Error(`${name} has no security`);
    return [name, security.flatMap((scheme) => Object.keys(asObject(scheme, `${name} security`)))];
  }),
);

export const contractResponses: readonly ContractResponse[] = described.flatMap(({ name, operation }) =>
  responsesOf(name, operation),
);

export const contractErrorCodes: unknown = lookUp('#/components/schemas/Error/properties/code/enum');

export function contractResponse(operation: string, status: number): ContractResponse {
  const found = contractResponses.find((entry) => entry.operation === operation && entry.status === status);
  if (found === undefined) throw new Error(`openapi/admin.yaml has no ${operation} with status ${status}`);
  return found;
}
