/** The admin API as an operator's script would use it (openapi/admin.yaml). */
import { Pool } from 'undici';
import type { AdminOperation, AdminPace, AdminStatus } from '../../src/admin/schemas.js';

const ANSWER_MS = 10_000;

export interface AdminReply {
  readonly status: number;
  readonly body: unknown;
}

export class AdminClient {
  readonly #pool: Pool;
  readonly #authorization: string;

  constructor(url: string, bearer: string) {
    this.#pool = new Pool(url, { connections: 4, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
    this.#authorization = `Bearer ${bearer}`;
  }

  async call(method: 'GET' | 'POST' | 'PATCH', path: string, content?: object): Promise<AdminReply> {
    const { statusCode, body } = await this.#pool.request({
      method,
      path,
      headers: {
        authorization: this.#authorization,
        ...(content !== undefined && { 'content-type': 'application/json' }),
      },
      ...(content !== undefined && { body: JSON.stringify(content) }),
    });
    const text = await body.text();
    return { status: statusCode, body: text === '' ? null : (JSON.parse(text) as unknown) };
  }

  async status(): Promise<AdminStatus> {
    return (await this.#expect('GET', '/status', 200)) as AdminStatus;
  }

  /** Newest first. */
  async operations(): Promise<readonly AdminOperation[]> {
    const answer = (await this.#expect('GET', '/reconcile', 200)) as {
      operations: readonly AdminOperation[];
    };
    return answer.operations;
  }

  /** Of copying while clients write. */
  async changePace(change: Partial<AdminPace>): Promise<void> {
    const reply = await this.call('PATCH', '/pace', change);
    if (reply.status !== 200) throw new Error(`PATCH /pace: ${reply.status} ${JSON.stringify(reply.body)}`);
  }

  /** One figure of `/metrics`, without labels or with those in the name; NaN where there is none. */
  async metric(name: string): Promise<number> {
    const { body } = await this.#pool.request({
      method: 'GET',
      path: '/metrics',
      headers: { authorization: this.#authorization },
    });
    const line = (await body.text()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? Number.NaN);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #expect(method: 'GET' | 'POST', path: string, status: number): Promise<unknown> {
    const reply = await this.call(method, path);
    if (reply.status === status) return reply.body;
    throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
  }
}
