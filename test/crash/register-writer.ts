/** A client that shares its keys with others: whole small contents, removals, appends and reads, all put on record. */
import type { S3Client, S3Outcome, S3RequestFields } from '../support/s3-client.js';
import { type SeededRandom } from '../support/seeded-random.js';
import { countOutcome, judgeOutcome, PASSING_REFUSALS, type WriterCounts } from './object-writer.js';
import type { RegisterHistory, RegisterOperation, RegisterValue } from './register-history.js';

const VALUE_LENGTH_MAX = 400;

/** An append at 0 makes the object or extends it, and gives up (409: try again) when others remove and make it at each of its attempts. */
function isRace(operation: Mutation, code: string): boolean {
  return operation.kind === 'append' && operation.offset === 0 && code === 'ConditionalRequestConflict';
}

/** Positions in the order in which this process sees things happen. */
export class Sequence {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

export interface RegisterWriterOptions {
  readonly name: string;
  readonly client: S3Client;
  readonly bucket: string;
  readonly histories: readonly RegisterHistory[];
  readonly random: SeededRandom;
  readonly sequence: Sequence;
  readonly counts: WriterCounts;
  readonly onFinding: (message: string) => void;
}

type Mutation = Extract<RegisterOperation, { kind: 'put' | 'delete' | 'append' }>;

export class RegisterWriter {
  readonly #options: RegisterWriterOptions;
  readonly #lastSeen = new Map<string, RegisterValue>();
  #count = 0;

  constructor(options: RegisterWriterOptions) {
    this.#options = options;
  }

  /** Does one thing to one of the shared keys. True when it was answered. */
  async act(): Promise<boolean> {
    const { random, histories } = this.#options;
    const history = random.pick(histories);
    return random.chance(0.4) ? this.#read(history) : this.#mutate(history);
  }

  #choose(key: string): Mutation {
    const { random, name } = this.#options;
    this.#count += 1;
    const value = `${name}.${this.#count};`;
    const seen = this.#lastSeen.get(key) ?? '';
    if (seen.length > VALUE_LENGTH_MAX) return { kind: 'put', value };
    return random.pickWeighted<Mutation>([
      [4, { kind: 'put', value }],
      [1, { kind: 'delete' }],
      [4, { kind: 'append', offset: seen.length, value }],
    ]);
  }

  async #mutate(history: RegisterHistory): Promise<boolean> {
    const { sequence, counts } = this.#options;
    const operation = this.#choose(history.key);
    const began = sequence.next();
    const raw = await this.#send(history.key, operation);
    const ended = sequence.next();
    const outcome = judgeOutcome(raw);
    countOutcome(counts, outcome);
    switch (outcome.kind) {
      case 'acknowledged':
        history.add({ operation, began, ended, isCertain: true });
        this.#remember(history.key, operation);
        return true;
      case 'unknown': {
        // After an answer it is decided, one way or the other; after a lost one it may still be on its way.
        history.add({
          operation,
          began,
          ended: raw.kind === 'answered' ? ended : Infinity,
          isCertain: false,
        });
        return false;
      }
      case 'refused':
        if (operation.kind === 'append' && outcome.code === 'InvalidWriteOffset') {
          const refusal = { kind: 'append-refused' as const, offset: operation.offset };
          history.add({ operation: refusal, began, ended, isCertain: true });
          return true;
        }
        if (!PASSING_REFUSALS.has(outcome.code) && !isRace(operation, outcome.code)) {
          this.#options.onFinding(`${history.key}: ${operation.kind} was refused with ${outcome.code}`);
        }
        return false;
    }
  }

  #remember(key: string, operation: Mutation): void {
    if (operation.kind === 'delete') this.#lastSeen.set(key, null);
    else if (operation.kind === 'put') this.#lastSeen.set(key, operation.value);
    else this.#lastSeen.set(key, (this.#lastSeen.get(key) ?? '') + operation.value);
  }

  #send(key: string, operation: Mutation): Promise<S3Outcome> {
    const { client, bucket } = this.#options;
    const path = `/${bucket}/${key}`;
    if (operation.kind === 'delete') return client.attempt({ method: 'DELETE', path });
    const request: S3RequestFields = { method: 'PUT', path, body: Buffer.from(operation.value) };
    if (operation.kind === 'put') return client.attempt(request);
    const headers = { 'x-amz-write-offset-bytes': String(operation.offset) };
    return client.attempt({ ...request, headers });
  }

  async #read(history: RegisterHistory): Promise<boolean> {
    const { client, bucket, sequence, counts, onFinding } = this.#options;
    const began = sequence.next();
    const outcome = await client.attempt({ method: 'GET', path: `/${bucket}/${history.key}` });
    const ended = sequence.next();
    if (outcome.kind !== 'answered' || outcome.reply.status === 503) return false;
    const { status, code, body } = outcome.reply;
    if (status !== 200 && status !== 404) {
      onFinding(`${history.key}: a read was answered ${status} ${code ?? ''}`);
      return false;
    }
    const value = status === 404 ? null : body.toString('utf8');
    counts.reads += 1;
    this.#lastSeen.set(history.key, value);
    history.add({ operation: { kind: 'get', value }, began, ended, isCertain: true });
    return true;
  }
}
