/**
 * Versions under crashes: random histories on one key, with the store failing at any mutation on the way, against a list of versions. After every
 * step the listing must be that of the history with or without the step that failed, and every version must read back.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ObjectStorageError } from '../../../src/gateway/object-storage.js';
import { elements, TestServer, type Answer } from './harness.js';

const MUTATIONS = new Set(['replace', 'setAttributes', 'writeRange', 'remove']);
const BUCKET = '/crashes';
const TARGET = `${BUCKET}/key`;

type Step =
  | { readonly kind: 'put' | 'delete' | 'append'; readonly failsAt: number }
  | { readonly kind: 'delete-version'; readonly index: number; readonly failsAt: number }
  | { readonly kind: 'versioning'; readonly isEnabled: boolean };

/** Null content: a delete marker. Newest first. */
interface Version {
  readonly isNull: boolean;
  readonly content: string | null;
}

const failsAt = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), failsAt }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), failsAt }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append' as const), failsAt }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('delete-version' as const),
      index: fc.nat({ max: 6 }),
      failsAt,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('versioning' as const), isEnabled: fc.boolean() }) },
);

const put = (failsAt = 0): Step => ({ kind: 'put', failsAt });
const versioning = (isEnabled: boolean): Step => ({ kind: 'versioning', isEnabled });
const deleteNewest = (failsAt = 0): Step => ({ kind: 'delete-version', index: 0, failsAt });

/** Each leaves over what a crash can, and goes on with what must clear it. */
const LEFTOVERS: readonly Step[][] = [
  // A copy of the current version, made before its successor: the successor comes after all, or the version goes.
  [versioning(true), put(), put(2), put()],
  [versioning(true), put(), put(2), deleteNewest()],
  // A promoted version that is still among the older ones, then replaced by a null version or removed.
  [put(), versioning(true), put(), deleteNewest(3), versioning(false), put()],
  [versioning(true), put(), put(), deleteNewest(3), deleteNewest()],
  // A null version whose place was taken, then the taker is replaced or removed.
  [put(), versioning(true), put(), versioning(false), put(3), put()],
  [put(), versioning(true), put(), versioning(false), put(3), versioning(true), put()],
  [put(), versioning(true), put(), versioning(false), put(3), deleteNewest()],
];

class Rig {
  readonly server: TestServer;
  versions: readonly Version[] = [];
  isEnabled: boolean | null = null;
  #puts = 0;
  readonly #fault: { countdown: number };

  private constructor(server: TestServer, fault: { countdown: number }) {
    this.server = server;
    this.#fault = fault;
  }

  static async start(): Promise<Rig> {
    const fault = { countdown: 0 };
    const server = await TestServer.start({
      storage: {
        beforeEach: (operation) => {
          if (!MUTATIONS.has(operation) || fault.countdown === 0) return;
          fault.countdown -= 1;
          if (fault.countdown > 0) return;
          // From here on the process is dead.
          fault.countdown = 1;
          throw new ObjectStorageError('unavailable', 'the crash of this test');
        },
      },
    });
    await server.send({ method: 'PUT', target: BUCKET });
    return new Rig(server, fault);
  }

  async #failing(failsAt: number, act: () => Promise<Answer>): Promise<Answer> {
    this.#fault.countdown = failsAt;
    const answer = await act();
    this.#fault.countdown = 0;
    return answer;
  }

  #withNew(content: string | null): readonly Version[] {
    if (this.isEnabled === null) return content === null ? [] : [{ isNull: true, content }];
    if (this.isEnabled) return [{ isNull: false, content }, ...this.versions];
    return [{ isNull: true, content }, ...this.versions.filter(({ isNull }) => !isNull)];
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'versioning') {
      const status = step.isEnabled ? 'Enabled' : 'Suspended';
      const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
      const answer = await this.server.send({ method: 'PUT', target: `${BUCKET}?versioning`, body });
      expect(answer.status).toBe(200);
      this.isEnabled = step.isEnabled;
      return;
    }
    const before = await this.list();
    const { answer, wanted } = await this.#act(step, before);
    if (answer.status < 300) this.versions = wanted;
    else {
      expect([answer.status, answer.code]).toEqual([503, 'ServiceUnavailable']);
      const present = await this.list();
      this.versions =
        present.length === before.length && present.every((id, i) => id === before[i])
          ? this.versions
          : wanted;
    }
    await this.check();
  }

  async #act(
    step: Exclude<Step, { kind: 'versioning' }>,
    ids: readonly string[],
  ): Promise<{ answer: Answer; wanted: readonly Version[] }> {
    const { server } = this;
    this.#puts += 1;
    const content = `content ${this.#puts};`;
    switch (step.kind) {
      case 'put': {
        const put = { method: 'PUT', target: TARGET, body: content };
        return {
          answer: await this.#failing(step.failsAt, () => server.send(put)),
          wanted: this.#withNew(content),
        };
      }
      case 'append': {
        const old = this.versions[0]?.content ?? '';
        const headers = { 'x-amz-write-offset-bytes': String(old.length) };
        const put = { method: 'PUT', target: TARGET, headers, body: content };
        return {
          answer: await this.#failing(step.failsAt, () => server.send(put)),
          wanted: this.#withNew(old + content),
        };
      }
      case 'delete':
        return {
          answer: await this.#failing(step.failsAt, () => server.send({ method: 'DELETE', target: TARGET })),
          wanted: this.#withNew(null),
        };
      case 'delete-version': {
        const index = ids.length === 0 ? 0 : step.index % ids.length;
        const target = `${TARGET}?versionId=${ids[index] ?? 'null'}`;
        return {
          answer: await this.#failing(step.failsAt, () => server.send({ method: 'DELETE', target })),
          wanted: this.versions.filter((_version, i) => i !== index),
        };
      }
    }
  }

  /** The version ids as listed, newest first. */
  async list(): Promise<string[]> {
    const { text } = await this.server.send({ target: `${BUCKET}?versions` });
    return elements(text, 'VersionId');
  }

  async check(): Promise<void> {
    const { text } = await this.server.send({ target: `${BUCKET}?versions` });
    const ids = elements(text, 'VersionId');
    expect(ids.length).toBe(this.versions.length);
    expect(new Set(ids).size).toBe(ids.length);
    expect(elements(text, 'IsLatest')).toEqual(ids.map((_id, index) => String(index === 0)));
    for (const [index, version] of this.versions.entries()) {
      expect(ids[index] === 'null').toBe(version.isNull);
      const answer = await this.server.send({ target: `${TARGET}?versionId=${ids[index]}` });
      if (version.content === null) expect(answer.status).toBe(405);
      else expect([answer.status, answer.text]).toEqual([200, version.content]);
    }
    const current = await this.server.send({ target: TARGET });
    const content = this.versions[0]?.content ?? null;
    if (content === null) expect([current.status, current.code]).toEqual([404, 'NoSuchKey']);
    else expect([current.status, current.text]).toEqual([200, content]);
    const listed = await this.server.send({ target: `${BUCKET}?list-type=2` });
    expect(elements(listed.text, 'Key')).toEqual(content === null ? [] : ['key']);
  }

  async end(): Promise<void> {
    for (const id of await this.list()) {
      const answer = await this.server.send({ method: 'DELETE', target: `${TARGET}?versionId=${id}` });
      expect(answer.status).toBe(204);
    }
    const left = await this.server.storage.list({
      container: '.versions.crashes',
      prefix: '',
      after: '',
      delimiter: '',
      limit: 100,
    });
    expect(left.entries).toEqual([]);
    expect((await this.server.send({ method: 'DELETE', target: BUCKET })).status).toBe(204);
    expect(this.server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0, openReads: 0 });
    await this.server.close();
  }
}

describe('versions under crashes (UserGuide "Retaining multiple versions of objects")', () => {
  it('a change that is cut short anywhere has happened or has not, and leaves nothing behind in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const rig = await Rig.start();
        try {
          for (const next of steps) await rig.run(next);
          await rig.end();
        } finally {
          await rig.server.close();
        }
      }),
      { numRuns: 60, examples: LEFTOVERS.map((steps) => [steps]) },
    );
  }, 120_000);
});
