/** Which operation a request is. */
import { S3Error } from '../errors.js';
import type { S3Request } from '../request.js';
import { OPERATION_NAMES, type OperationName } from './names.js';
import type { Match } from './operation.js';
import { OPERATIONS } from './table.js';

type Candidate = readonly [name: OperationName, match: Match];

function demands(match: Match): number {
  return match.query.length + (match.header === null ? 0 : 1);
}

function buildIndex(): ReadonlyMap<string, readonly Candidate[]> {
  const index = new Map<string, Candidate[]>();
  for (const name of OPERATION_NAMES) {
    const { match } = OPERATIONS[name];
    const place = `${match.method} ${match.level}`;
    index.set(place, [...(index.get(place) ?? []), [name, match]]);
  }
  for (const candidates of index.values())
    candidates.sort((left, right) => demands(right[1]) - demands(left[1]));
  return index;
}

function fits(match: Match, request: S3Request): boolean {
  if (match.header !== null && !request.headers.has(match.header)) return false;
  return match.query.every((name) => request.query.has(name));
}

/** Finds operations by method, level, query and headers; built once from the table. */
export class OperationDetector {
  readonly #index = buildIndex();

  /** Throws S3Error MethodNotAllowed when S3 has no such operation. */
  detect(request: S3Request): OperationName {
    const { level } = request.target;
    for (const [name, match] of this.#index.get(`${request.method} ${level}`) ?? []) {
      if (fits(match, request)) return name;
    }
    if (request.method === 'OPTIONS') return 'PreflightRequest';
    throw new S3Error('MethodNotAllowed', {
      details: { Method: request.method, ResourceType: level.toUpperCase() },
    });
  }
}
