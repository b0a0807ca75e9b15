/** A client that is alone on its keys: it writes, appends, patches, removes and reads, and knows what must be there. */
import type { S3Outcome } from '../support/s3-client.js';
import { type SeededRandom } from '../support/seeded-random.js';
import type { Attempts } from './sdk-attempts.js';
import {
  HistoryViolation,
  ObjectHistory,
  type ObjectOperation,
  type OperationOutcome,
} from './object-history.js';

const KIB = 1024;
/** An object that has grown past this is replaced or removed next. */
const OBJECT_BYTES_MAX = 3 * 1024 * KIB;

/** Refusals that any request may meet while mirrors come and go: they say nothing of the object. */
export const PASSING_REFUSALS: ReadonlySet<string> = new Set(['ServiceUnavailable', 'not-sent']);

/** What a mutation's outcome amounts to: only an answer below 500, or a 503, says that nothing happened. */
export function judgeOutcome(outcome: S3Outcome): OperationOutcome {
  if (outcome.kind === 'not-sent') return { kind: 'refused', code: 'not-sent' };
  if (outcome.kind === 'lost') return { kind: 'unknown', reason: outcome.reason };
  const { status, code } = outcome.reply;
  if (status < 300) return { kind: 'acknowledged' };
  if (status < 500 || status === 503) return { kind: 'refused', code: code ?? String(status) };
  return { kind: 'unknown', reason: `${status} ${code ?? ''}` };
}

function sizeOf(random: SeededRandom): number {
  return random.pickWeighted([
    [1, () => 0],
    [8, () => random.integer(1, 4 * KIB)],
    [4, () => random.integer(4 * KIB, 256 * KIB)],
    [0.5, () => 256 * KIB],
    [2, () => random.integer(256 * KIB + 1, 1024 * KIB)],
  ])();
}

/** A piece for an append or a range write: never empty, which S3 refuses. */
function pieceOf(random: SeededRandom): Buffer {
  return random.bytes(Math.max(1, sizeOf(random)));
}

export interface WriterCounts {
  acknowledged: number;
  /** For a reason that lies in the object, such as a wrong offset. */
  refused: number;
  /** Because nobody could serve just then. */
  unavailable: number;
  unknown: number;
  reads: number;
}

export function countOutcome(counts: WriterCounts, outcome: OperationOutcome): void {
  const isPassing = outcome.kind === 'refused' && PASSING_REFUSALS.has(outcome.code);
  counts[isPassing ? 'unavailable' : outcome.kind] += 1;
}

export interface ObjectWriterOptions {
  readonly client: Attempts;
  readonly bucket: string;
  readonly keys: readonly string[];
  readonly random: SeededRandom;
  readonly counts: WriterCounts;
  readonly onFinding: (message: string) => void;
}

export class ObjectWriter {
  readonly #options: ObjectWriterOptions;
  readonly #histories: ObjectHistory[];

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
    this.#histories = options.keys.map((key) => new ObjectHistory(key));
  }

  get histories(): readonly ObjectHistory[] {
    return this.#histories;
  }

  /** Does one thing to one of its keys. Never rejects. True when it got an answer that tells something. */
  async act(): Promise<boolean> {
    const { random } = this.#options;
    const history = random.pick(this.#histories);
    try {
      return random.chance(0.3) ? await this.#read(history) : await this.#mutate(history);
    } catch (error) {
      if (!(error instanceof HistoryViolation)) throw error;
      this.#report(history, error.message);
      return false;
    }
  }

  /** Reads one key whole, when nobody writes, and has it decided. */
  async settle(history: ObjectHistory): Promise<void> {
    const { client, bucket } = this.#options;
    try {
      history.observe(await client.get(bucket, history.key));
    } catch (error) {
      this.#report(history, error instanceof Error ? error.message : String(error));
    }
  }

  /** One of its objects, and something that it might do to it. */
  chooseForeignWrite(): { readonly history: ObjectHistory; readonly operation: ObjectOperation } {
    const history = this.#options.random.pick(this.#histories);
    return { history, operation: this.#choose(history) };
  }

  #report(history: ObjectHistory, message: string): void {
    // What is known of the key is wrong from here on: it is given up, so that one fault makes one finding.
    const index = this.#histories.indexOf(history);
    if (index >= 0 && this.#histories.length > 1) this.#histories.splice(index, 1);
    this.#options.onFinding(message);
  }

  #choose(history: ObjectHistory): ObjectOperation {
    const { random } = this.#options;
    const content = history.likely;
    const put = (): ObjectOperation => ({ kind: 'put', bytes: random.bytes(sizeOf(random)) });
    const remove = (): ObjectOperation => ({ kind: 'delete' });
    if (content !== null && content.length > OBJECT_BYTES_MAX) return random.chance(0.5) ? put() : remove();
    return random.pickWeighted<() => ObjectOperation>([
      [5, put],
      [1.5, remove],
      [4, () => ({ kind: 'append', offset: content?.length ?? 0, bytes: pieceOf(random) })],
      [0.2, () => ({ kind: 'append', offset: (content?.length ?? 0) + 1, bytes: pieceOf(random) })],
      [
        content === null ? 0.2 : 4,
        () => ({ kind: 'patch', offset: random.integer(0, content?.length ?? 0), bytes: pieceOf(random) }),
      ],
    ])();
  }

  async #mutate(history: ObjectHistory): Promise<boolean> {
    const operation = this.#choose(history);
    const outcome = judgeOutcome(await this.#send(history.key, operation));
    countOutcome(this.#options.counts, outcome);
    history.record(operation, outcome, PASSING_REFUSALS);
    return outcome.kind === 'acknowledged';
  }

  #send(key: string, operation: ObjectOperation): Promise<S3Outcome> {
    const { client, bucket } = this.#options;
    const path = `/${bucket}/${key}`;
    switch (operation.kind) {
      case 'put':
        return client.attempt({ method: 'PUT', path, body: operation.bytes });
      case 'delete':
        return client.attempt({ method: 'DELETE', path });
      case 'append': {
        const headers = { 'x-amz-write-offset-bytes': String(operation.offset) };
        return client.attempt({ method: 'PUT', path, headers, body: operation.bytes });
      }
      case 'patch': {
        const last = operation.offset + operation.bytes.length - 1;
        const headers = { 'content-range': `bytes ${operation.offset}-${last}/*` };
        return client.attempt({ method: 'PATCH', path, headers, body: operation.bytes });
      }
    }
  }

  async #read(history: ObjectHistory): Promise<boolean> {
    const { random, client, bucket, counts } = this.#options;
    const path = `/${bucket}/${history.key}`;
    const size = history.likely?.length ?? 0;
    if (random.chance(0.15)) {
      const outcome = await client.attempt({ method: 'HEAD', path });
      return this.#take(history, outcome, ({ headers }) => {
        history.observeSize(Number(headers['content-length']));
      });
    }
    if (size > 0 && random.chance(0.4)) {
      const first = random.integer(0, size - 1);
      const last = first + random.integer(0, size);
      const outcome = await client.attempt({
        method: 'GET',
        path,
        headers: { range: `bytes=${first}-${last}` },
      });
      const mayBeShort = history.possible.some((state) => (state?.length ?? 0) <= first);
      if (mayBeShort && outcome.kind === 'answered' && outcome.reply.status === 416) return true;
      return this.#take(history, outcome, ({ body }) => {
        history.observeRange(first, last, body);
      });
    }
    counts.reads += 1;
    return this.#take(history, await client.attempt({ method: 'GET', path }), ({ body }) => {
      history.observe(body);
    });
  }

  #take(
    history: ObjectHistory,
    outcome: S3Outcome,
    observe: (reply: { readonly headers: Readonly<Record<string, string>>; readonly body: Buffer }) => void,
  ): boolean {
    if (outcome.kind !== 'answered') return false;
    const { status, code } = outcome.reply;
    if (status === 503) return false;
    if (status === 404) history.observe(null);
    else if (status < 300) observe(outcome.reply);
    else throw new HistoryViolation(`${history.key}: a read was answered ${status} ${code ?? ''}`);
    return true;
  }
}
