/** Speaks to the admin API of a running gateway. Every answer is checked against the API's own schemas. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { type AdminBuckets, bucketsSchema } from '../admin/object-schemas.js';
import {
  type AdminEvents,
  type AdminForcePlan,
  type AdminOperation,
  type AdminPace,
  type AdminPaceChange,
  type AdminSets,
  type AdminStatus,
  type AdminTagTable,
  alreadyRunningSchema,
  errorSchema,
  eventsSchema,
  forcePlanSchema,
  operationSchema,
  operationsSchema,
  paceSchema,
  scrubStartedSchema,
  setsSchema,
  statusSchema,
  tagTableSchema,
} from '../admin/schemas.js';
import {
  type AdminVerification,
  verifyRunningSchema,
  verifySchema,
  verifyStartedSchema,
} from '../admin/verify-routes.js';
import type { Fetch, FetchAnswer } from '../wire/trusting-fetch.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { systemCodeOf } from './system-error.js';

const ANSWER_WITHIN_MS = 10_000;
const EVENT_CHARACTERS_MAX = 1024 * 1024;

export interface VerifyRequest {
  readonly repairs: boolean;
  readonly isQuick: boolean;
  /** Null: the gateway's default. */
  readonly bytesPerSecond: number | null;
}

export interface StartedVerification {
  readonly verification: AdminVerification;
  /** False: it was running already. */
  readonly isNew: boolean;
}

export interface StartedReconcile {
  readonly operation: AdminOperation;
  /** False: it was running already. */
  readonly isNew: boolean;
}

function conform<Schema extends TSchema>(schema: Schema, value: unknown, url: string): Static<Schema> {
  const validator = Compile(schema);
  if (validator.Check(value)) return value;
  throw new OperationalError(
    'bad-answer',
    EXIT.unavailable,
    `What answers at ${url} is not Tally's admin API.`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Of OpenSSL and node, for what is wrong with the other side's certificate. */
const CERTIFICATE_CODE = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_)/;

/** Null: it is not the certificate. */
function certificateReason(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const code = systemCodeOf(error);
  if (code !== null && CERTIFICATE_CODE.test(code)) return error.message;
  return certificateReason(error.cause);
}

export class AdminClient {
  readonly #url: string;
  readonly #token: string;
  readonly #fetch: Fetch;

  /** `fetchFrom` knows whom to trust. */
  constructor(url: string, token: string, fetchFrom: Fetch = fetch) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#fetch = fetchFrom;
  }

  /** What is asked of one mirror set beside the first. */
  ofSet(name: string): AdminClient {
    return new AdminClient(`${this.#url}/sets/${encodeURIComponent(name)}`, this.#token, this.#fetch);
  }

  async sets(): Promise<AdminSets> {
    return conform(setsSchema, await this.#json(await this.#send('GET', '/sets')), this.#url);
  }

  async status(): Promise<AdminStatus> {
    return conform(statusSchema, await this.#json(await this.#send('GET', '/status')), this.#url);
  }

  async events(): Promise<AdminEvents['events']> {
    return conform(eventsSchema, await this.#json(await this.#send('GET', '/events')), this.#url).events;
  }

  async reconcile(): Promise<StartedReconcile> {
    const response = await this.#send('POST', '/reconcile');
    if (response.status === 409) {
      const { operation } = conform(alreadyRunningSchema, parseJson(await response.text()), this.#url);
      return { operation, isNew: false };
    }
    return { operation: conform(operationSchema, await this.#json(response), this.#url), isNew: true };
  }

  async setPace(change: AdminPaceChange): Promise<AdminPace> {
    const response = await this.#send('PATCH', '/pace', ANSWER_WITHIN_MS, JSON.stringify(change));
    return conform(paceSchema, await this.#json(response), this.#url);
  }

  /** What is at risk when the set goes on with this mirror alone. */
  async planForce(mirror: string): Promise<AdminForcePlan> {
    const answer = await this.#json(await this.#send('GET', `/force?mirror=${encodeURIComponent(mirror)}`));
    return conform(forcePlanSchema, answer, this.#url);
  }

  async force(mirror: string, words: string): Promise<AdminForcePlan> {
    const body = JSON.stringify({ mirror, words });
    return conform(
      forcePlanSchema,
      await this.#json(await this.#send('POST', '/force', ANSWER_WITHIN_MS, body)),
      this.#url,
    );
  }

  /** The mirrors that scrub now. */
  async scrub(mirror: string | null): Promise<readonly string[]> {
    const query = mirror === null ? '' : `?mirror=${encodeURIComponent(mirror)}`;
    const answer = await this.#json(await this.#send('POST', `/scrub${query}`));
    return conform(scrubStartedSchema, answer, this.#url).mirrors;
  }

  /** One page of a mirror's tag table, oldest commit first; `after` is the `next` of the page before. */
  async tagTable(mirror: string, after: string | null, limit: number): Promise<AdminTagTable> {
    const query = new URLSearchParams({ mirror, limit: String(limit), ...(after !== null && { after }) });
    const answer = await this.#json(await this.#send('GET', `/tag-table?${query.toString()}`));
    return conform(tagTableSchema, answer, this.#url);
  }

  async buckets(): Promise<AdminBuckets['buckets']> {
    return conform(bucketsSchema, await this.#json(await this.#send('GET', '/buckets')), this.#url).buckets;
  }

  async verify({ repairs, isQuick, bytesPerSecond }: VerifyRequest): Promise<StartedVerification> {
    const query = new URLSearchParams({ repair: String(repairs), quick: String(isQuick) });
    if (bytesPerSecond !== null) query.set('bytesPerSecond', String(bytesPerSecond));
    const response = await this.#send('POST', `/verify?${query.toString()}`);
    if (response.status === 409) {
      const running = conform(verifyRunningSchema, parseJson(await response.text()), this.#url);
      return { verification: running.verification, isNew: false };
    }
    const started = conform(verifyStartedSchema, await this.#json(response), this.#url);
    return { verification: started.verification, isNew: true };
  }

  /** Ends the one that runs; rejects when there is none. */
  async stopVerification(): Promise<AdminVerification> {
    const answer = await this.#json(await this.#send('DELETE', '/verify'));
    return conform(verifyStartedSchema, answer, this.#url).verification;
  }

  /** The one that runs, or the latest one. */
  async verification(): Promise<AdminVerification | null> {
    const answer = await this.#json(await this.#send('GET', '/verify'));
    return conform(verifySchema, answer, this.#url).verification;
  }

  /** Newest first. */
  async operations(): Promise<readonly AdminOperation[]> {
    const response = await this.#send('GET', '/reconcile');
    return conform(operationsSchema, await this.#json(response), this.#url).operations;
  }

  /** Every state of a reconciliation as it changes; the last one says how it ended, unless the gateway went away. */
  async *follow(id: string): AsyncGenerator<AdminOperation, void, undefined> {
    const response = await this.#send('GET', `/reconcile/${encodeURIComponent(id)}/events`, null);
    if (!response.ok || response.body === null) await this.#json(response);
    let rest = '';
    try {
      for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        rest += piece;
        const events = rest.split('\n\n');
        rest = events.pop() ?? '';
        if (rest.length > EVENT_CHARACTERS_MAX) return;
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data !== undefined) yield conform(operationSchema, parseJson(data), this.#url);
        }
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #send(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    withinMs: number | null = ANSWER_WITHIN_MS,
    body: string | null = null,
  ): Promise<FetchAnswer> {
    try {
      return await this.#fetch(this.#url + path, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body !== null && { 'content-type': 'application/json' }),
        },
        ...(body !== null && { body }),
        ...(withinMs !== null && { signal: AbortSignal.timeout(withinMs) }),
      });
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #json(response: FetchAnswer): Promise<unknown> {
    const value = parseJson(await response.text());
    if (response.ok) return value;
    if (response.status === 401) {
      throw new OperationalError(
        'wrong-token',
        EXIT.permission,
        `The admin API at ${this.#url} refused the token.`,
      );
    }
    const { code, message } = conform(errorSchema, value, this.#url);
    throw new OperationalError(code, code === 'forbidden' ? EXIT.permission : EXIT.unavailable, message);
  }

  #unreachable(cause: unknown): OperationalError {
    const reason = certificateReason(cause);
    if (reason !== null) {
      return new OperationalError(
        'certificate-refused',
        EXIT.unavailable,
        `The certificate of ${this.#url} is not accepted: ${reason}. The authority that it comes from is named with admin.caFile or TALLY_ADMIN_CA_FILE.`,
        { cause },
      );
    }
    return new OperationalError(
      'gateway-unreachable',
      EXIT.unavailable,
      `No gateway answers at ${this.#url}. Is it running? "tally up" starts everything on one machine.`,
      { cause },
    );
  }
}
