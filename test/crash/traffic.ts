/** All the clients of a campaign: they run until they are paused, and then everything they know is checked. */
import { sleep } from '../support/patience.js';
import type { S3Client } from '../support/s3-client.js';
import { type SeededRandom } from '../support/seeded-random.js';
import type { ObjectHistory, ObjectOperation } from './object-history.js';
import { ObjectWriter, type WriterCounts } from './object-writer.js';
import { RegisterHistory } from './register-history.js';
import { RegisterWriter, Sequence } from './register-writer.js';
import { SdkAttempts } from './sdk-attempts.js';

export interface TrafficOptions {
  readonly client: S3Client;
  readonly bucket: string;
  readonly random: SeededRandom;
  readonly onFinding: (message: string) => void;
}

/** The first of them is the AWS SDK. */
const OBJECT_WRITERS = 4;
const KEYS_PER_WRITER = 6;
const REGISTER_WRITERS = 3;
const REGISTERS = 2;
const PAUSE_MS_MAX = 12;
const PAUSE_AFTER_FAILURE_MS = 40;
/** Above every wait that the gateway and its OSDs have. A client that waits longer was forgotten. */
const ANSWERED_WITHIN_MS = 90_000;

/** Keys that are prefixes of each other, that need encoding, and that sort differently in UTF-16 and UTF-8. */
const KEY_PATTERNS = [
  'plain',
  'plain/below',
  'with space & sign+',
  'umlaut-äöü',
  'high-\u{1f980}-surrogates',
  'private-\uf8ff-use',
];

function keysOf(writer: number): string[] {
  return Array.from({ length: KEYS_PER_WRITER }, (_, index) => {
    const pattern = KEY_PATTERNS[index % KEY_PATTERNS.length] ?? 'plain';
    return `writer-${writer}/${pattern}`;
  });
}

export class Traffic {
  readonly counts: WriterCounts = { acknowledged: 0, refused: 0, unavailable: 0, unknown: 0, reads: 0 };
  readonly #options: TrafficOptions;
  readonly #sequence = new Sequence();
  readonly #writers: readonly ObjectWriter[];
  readonly #registers: readonly RegisterHistory[];
  readonly #registerWriters: readonly RegisterWriter[];
  readonly #sdk: SdkAttempts;
  #running: Promise<void>[] = [];
  #isPaused = true;

  constructor(options: TrafficOptions) {
    this.#options = options;
    const { client, bucket, random, onFinding } = options;
    const shared = { client, bucket, counts: this.counts, onFinding };
    this.#sdk = new SdkAttempts(client.access, client);
    this.#writers = Array.from({ length: OBJECT_WRITERS }, (_, index) => {
      const own = { keys: keysOf(index), random: random.fork() };
      return new ObjectWriter({ ...shared, ...own, ...(index === 0 && { client: this.#sdk }) });
    });
    this.#registers = Array.from({ length: REGISTERS }, (_, index) => new RegisterHistory(`shared/${index}`));
    this.#registerWriters = Array.from(
      { length: REGISTER_WRITERS },
      (_, index) =>
        new RegisterWriter({
          ...shared,
          name: `w${index}`,
          histories: this.#registers,
          random: random.fork(),
          sequence: this.#sequence,
        }),
    );
  }

  start(): void {
    this.#isPaused = false;
    this.#running = [...this.#writers, ...this.#registerWriters].map((writer) => this.#run(writer));
  }

  /** Resolves when every request that was under way has its outcome. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await Promise.all(this.#running);
    this.#running = [];
  }

  /** Precondition: paused. */
  close(): void {
    this.#sdk.close();
  }

  /** A random object and something that its writer might do to it. Precondition: paused. */
  chooseForeignWrite(): { readonly history: ObjectHistory; readonly operation: ObjectOperation } {
    return this.#options.random.pick(this.#writers).chooseForeignWrite();
  }

  /** Reads one object whole and has it decided. Precondition: paused, and the system serves. */
  async settle(history: ObjectHistory): Promise<void> {
    await this.#writers.find(({ histories }) => histories.includes(history))?.settle(history);
  }

  /** Call it when a new gateway serves after the old one died: what the old one still had in hand is decided. */
  noteNewGateway(): void {
    for (const register of this.#registers) register.closeOpen(this.#sequence.next());
  }

  async #run(writer: { act(): Promise<boolean> }): Promise<void> {
    const random = this.#options.random.fork();
    while (!this.#isPaused) {
      const startMs = performance.now();
      const hasAnswer = await writer.act();
      const waitedMs = performance.now() - startMs;
      if (waitedMs > ANSWERED_WITHIN_MS)
        this.#options.onFinding(
          `a client waited ${(waitedMs / 1000).toFixed(0)} s for the end of its request`,
        );
      await sleep(hasAnswer ? random.integer(0, PAUSE_MS_MAX) : PAUSE_AFTER_FAILURE_MS);
    }
  }

  /** Reads everything back and compares. Precondition: paused, and the system serves. */
  async verify(): Promise<void> {
    for (const { histories } of this.#writers) {
      for (const history of [...histories]) await this.settle(history);
    }
    for (const register of this.#registers) await this.#verifyRegister(register);
    await this.#verifyListing();
  }

  async #verifyRegister(register: RegisterHistory): Promise<void> {
    const { client, bucket, onFinding } = this.#options;
    const body = await client.get(bucket, register.key);
    const events = [...register.events];
    const verdict = register.settle(body?.toString('utf8') ?? null, this.#sequence.next());
    if (verdict.kind === 'explained') return;
    const lines = events.map((event) => `  ${JSON.stringify(event)}`).join('\n');
    onFinding(
      verdict.kind === 'impossible'
        ? `${register.key}: no order of what clients did explains what they saw; it is now ${body?.toString('utf8') ?? 'absent'}\n${lines}`
        : `${register.key}: the search for an order was given up after ${events.length} events`,
    );
  }

  /** What is listed is what is there: nothing removed is back, nothing acknowledged is missing. */
  async #verifyListing(): Promise<void> {
    const { client, bucket, onFinding } = this.#options;
    for (const writer of this.#writers) {
      const listed = new Set(await client.listKeys(bucket, '', 7));
      for (const history of writer.histories) {
        const isThere = history.likely !== null;
        if (listed.has(history.key) !== isThere)
          onFinding(`${history.key}: ${isThere ? 'is not listed' : 'is listed, but was removed'}`);
      }
    }
  }
}
