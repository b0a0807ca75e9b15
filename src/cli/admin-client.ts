/**
 * Speaks to the admin API of a running gateway, by the types that are made of openapi/admin.yaml. Every answer is checked against the
 * schemas of the server as well: what answers may be something else, or of another version.
 */
import createClient from 'openapi-fetch';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Clean, Default } from 'typebox/value';
import { bucketsSchema } from '../admin/object-schemas.js';
import {
  alreadyRunningSchema,
  errorSchema,
  eventsSchema,
  forceObjectPlanSchema,
  forcePlanSchema,
  operationSchema,
  operationsSchema,
  paceSchema,
  scrubStartedSchema,
  setsSchema,
  statusSchema,
  tagTableSchema,
} from '../admin/schemas.js';
import { verifyRunningSchema, verifySchema, verifyStartedSchema } from '../admin/verify-routes.js';
import type { components, paths } from '../api/admin-api.js';
import type { Fetch } from '../wire/trusting-fetch.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { asSentence } from './sentence.js';
import { systemCodeOf } from './system-error.js';

/** What was answered is looked at, never changed. */
type Answered<Value> = Value extends readonly (infer Item)[]
  ? readonly Answered<Item>[]
  : Value extends object
    ? { readonly [Name in keyof Value]: Answered<Value[Name]> }
    : Value;

type Schemas = components['schemas'];
export type AdminStatus = Answered<Schemas['Status']>;
export type AdminMirror = Answered<Schemas['Mirror']>;
export type AdminSets = Answered<Schemas['Sets']>;
export type AdminOperation = Answered<Schemas['Operation']>;
export type AdminProgress = Answered<Schemas['Progress']>;
export type AdminPace = Answered<Schemas['Pace']>;
export type AdminPaceChange = Schemas['PaceChange'];
export type AdminForcePlan = Answered<Schemas['ForcePlan']>;
export type AdminForceObjectPlan = Answered<Schemas['ForceObjectPlan']>;
export interface AdminForceObjectOrder {
  readonly bucket: string;
  readonly key: string;
  readonly version?: string;
  readonly choice: 'give-up' | 'put-back';
}
export type AdminTagTable = Answered<Schemas['TagTable']>;
export type AdminVerification = Answered<NonNullable<Schemas['Verify']['verification']>>;

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

interface Answer<Value> {
  readonly data?: Value;
  readonly error?: unknown;
  readonly response: Response;
}

/** The schemas are those of the contract: a test compares the two. */
function isOf<Value>(schema: TSchema, value: unknown): value is Value {
  return Compile(schema).Check(value);
}

/** An answer of another release: without what is not known here, and with what that release did not know yet. */
function translated(schema: TSchema, value: unknown): unknown {
  return Default(schema, Clean(schema, structuredClone(value)));
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

/** openapi-fetch speaks node's Request and Response; a fetch that trusts other authorities is undici's, and has its own. */
function adapt(fetchFrom: Fetch): (request: Request) => Promise<Response> {
  return async (request) => {
    const { status, body } = await fetchFrom(request.url, {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      signal: request.signal,
      ...(request.body !== null && { body: await request.text() }),
    });
    return new Response(body, { status });
  };
}

export class AdminClient {
  readonly #url: string;
  readonly #token: string;
  readonly #fetch: Fetch;
  readonly #client: ReturnType<typeof createClient<paths>>;

  /** `fetchFrom` knows whom to trust. */
  constructor(url: string, token: string, fetchFrom: Fetch = fetch) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#fetch = fetchFrom;
    this.#client = createClient<paths>({
      baseUrl: this.#url,
      headers: { authorization: `Bearer ${token}` },
      fetch: adapt(fetchFrom),
    });
  }

  /** What is asked of one mirror set beside the first. */
  ofSet(name: string): AdminClient {
    return new AdminClient(`${this.#url}/sets/${encodeURIComponent(name)}`, this.#token, this.#fetch);
  }

  async sets(): Promise<AdminSets> {
    return this.#value(setsSchema, await this.#reach(this.#client.GET('/sets', within())));
  }

  async status(): Promise<AdminStatus> {
    return this.#value(statusSchema, await this.#reach(this.#client.GET('/status', within())));
  }

  async events(): Promise<Schemas['Events']['events']> {
    return this.#value(eventsSchema, await this.#reach(this.#client.GET('/events', within()))).events;
  }

  async reconcile(): Promise<StartedReconcile> {
    const answer = await this.#reach(this.#client.POST('/reconcile', within()));
    if (answer.response.status !== 409)
      return { operation: this.#value(operationSchema, answer), isNew: true };
    const { operation } = this.#conform<Schemas['AlreadyRunning']>(alreadyRunningSchema, answer.error);
    return { operation, isNew: false };
  }

  async setPace(change: Schemas['PaceChange']): Promise<AdminPace> {
    const answer = await this.#reach(this.#client.PATCH('/pace', { body: change, ...within() }));
    return this.#value(paceSchema, answer);
  }

  /** What is at risk when the set goes on with this mirror alone. */
  async planForce(mirror: string): Promise<AdminForcePlan> {
    const params = { query: { mirror } };
    return this.#value(
      forcePlanSchema,
      await this.#reach(this.#client.GET('/force', { params, ...within() })),
    );
  }

  async force(mirror: string, words: string): Promise<AdminForcePlan> {
    const answer = await this.#reach(this.#client.POST('/force', { body: { mirror, words }, ...within() }));
    return this.#value(forcePlanSchema, answer);
  }

  /** What is lost when this is done with an object that is intact nowhere. */
  async planForceObject(order: AdminForceObjectOrder): Promise<AdminForceObjectPlan> {
    const answer = await this.#reach(
      this.#client.GET('/force/object', { params: { query: order }, ...within() }),
    );
    return this.#value(forceObjectPlanSchema, answer);
  }

  async forceObject(order: AdminForceObjectOrder, words: string): Promise<AdminForceObjectPlan> {
    const answer = await this.#reach(
      this.#client.POST('/force/object', { body: { ...order, words }, ...within() }),
    );
    return this.#value(forceObjectPlanSchema, answer);
  }

  /** The mirrors that scrub now. */
  async scrub(mirror: string | null): Promise<readonly string[]> {
    const params = { query: mirror === null ? {} : { mirror } };
    const answer = await this.#reach(this.#client.POST('/scrub', { params, ...within() }));
    return this.#value(scrubStartedSchema, answer).mirrors;
  }

  /** One page of a mirror's tag table, oldest commit first; `after` is the `next` of the page before. */
  async tagTable(mirror: string, after: string | null, limit: number): Promise<AdminTagTable> {
    const params = { query: { mirror, limit, ...(after !== null && { after }) } };
    return this.#value(
      tagTableSchema,
      await this.#reach(this.#client.GET('/tag-table', { params, ...within() })),
    );
  }

  async buckets(): Promise<Schemas['Buckets']['buckets']> {
    return this.#value(bucketsSchema, await this.#reach(this.#client.GET('/buckets', within()))).buckets;
  }

  async verify({ repairs, isQuick, bytesPerSecond }: VerifyRequest): Promise<StartedVerification> {
    const query = { repair: repairs, quick: isQuick, ...(bytesPerSecond !== null && { bytesPerSecond }) };
    const answer = await this.#reach(this.#client.POST('/verify', { params: { query }, ...within() }));
    if (answer.response.status === 409) {
      const running = this.#conform<Schemas['VerifyRunning']>(verifyRunningSchema, answer.error);
      return { verification: running.verification, isNew: false };
    }
    return { verification: this.#value(verifyStartedSchema, answer).verification, isNew: true };
  }

  /** Ends the one that runs; rejects when there is none. */
  async stopVerification(): Promise<AdminVerification> {
    const answer = await this.#reach(this.#client.DELETE('/verify', within()));
    return this.#value(verifyStartedSchema, answer).verification;
  }

  /** The one that runs, or the latest one. */
  async verification(): Promise<AdminVerification | null> {
    const answer = await this.#reach(this.#client.GET('/verify', within()));
    return this.#value(verifySchema, answer).verification;
  }

  /** Newest first. */
  async operations(): Promise<readonly AdminOperation[]> {
    const answer = await this.#reach(this.#client.GET('/reconcile', within()));
    return this.#value(operationsSchema, answer).operations;
  }

  /** Every state of a reconciliation as it changes; the last one says how it ended, unless the gateway went away. */
  async *follow(id: string): AsyncGenerator<AdminOperation, void, undefined> {
    const params = { path: { id } };
    const answer = await this.#reach(
      this.#client.GET('/reconcile/{id}/events', { params, parseAs: 'stream' }),
    );
    if (!answer.response.ok) throw this.#refusal(answer);
    let rest = '';
    try {
      for await (const piece of answer.response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        rest += piece;
        const events = rest.split('\n\n');
        rest = events.pop() ?? '';
        if (rest.length > EVENT_CHARACTERS_MAX) return;
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data !== undefined) yield this.#conform<AdminOperation>(operationSchema, parseJson(data));
        }
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #reach<Value>(asking: Promise<Answer<Value>>): Promise<Answer<Value>> {
    try {
      return await asking;
    } catch (error) {
      // Something else than JSON.
      if (error instanceof SyntaxError) throw this.#stranger();
      throw this.#unreachable(error);
    }
  }

  #value<Value>(schema: TSchema, answer: Answer<Value>): Value {
    if (answer.data === undefined) throw this.#refusal(answer);
    return this.#conform<Value>(schema, answer.data);
  }

  #conform<Value>(schema: TSchema, value: unknown): Value {
    if (isOf<Value>(schema, value)) return value;
    const known = translated(schema, value);
    if (isOf<Value>(schema, known)) return known;
    throw this.#stranger();
  }

  #stranger(): OperationalError {
    return new OperationalError(
      'bad-answer',
      EXIT.unavailable,
      `What answers at ${this.#url} is not Tally's admin API, or of a release that this command does not understand.`,
    );
  }

  #refusal({ error, response }: Answer<unknown>): OperationalError {
    if (response.status === 401) {
      return new OperationalError(
        'wrong-token',
        EXIT.permission,
        `The admin API at ${this.#url} refused the token.`,
      );
    }
    const { code, message } = this.#conform<Schemas['Error']>(errorSchema, error);
    return new OperationalError(code, exitCodeOf(response.status), asSentence(message));
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

function exitCodeOf(status: number): ExitCode {
  if (status === 403) return EXIT.permission;
  if (status === 500) return EXIT.bug;
  return status > 500 ? EXIT.unavailable : EXIT.usage;
}

function within(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) };
}
