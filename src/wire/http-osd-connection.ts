/**
 * An OSD over HTTP/1.1: `OsdConnection` on an undici pool, and on connections of our own for uploads and downloads (osd-sockets.ts), each of which
 * holds one as long as it lasts: small requests never wait behind them.
 *
 * No pipelining: undici sends requests that were pipelined behind a failed one again, and a write may be sent once.
 */
import type { OnReadOpts } from 'node:net';
import Pool from 'undici/lib/dispatcher/pool.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { CopyPace } from '../protocol/pace.js';
import type { FullCopyCursor, ObjectSummary } from '../protocol/reconcile-plan.js';
import type { Epoch, GeneratorId } from '../protocol/tag.js';
import type { StoreId, Witness } from '../protocol/token.js';
import type { ObjectState, TagRow } from '../protocol/write.js';
import {
  ANSWER_BYTES_MAX,
  authorizationOf,
  CLIENT_KEEP_ALIVE_MS,
  HEADER_AUTHORIZATION,
  HEADER_CONTRACT,
  HEADER_EPOCH,
  HEADER_TRACEPARENT,
  MEDIA_BYTES,
  MEDIA_FRAME,
  MEDIA_JSON,
  MEDIA_TRANSACTIONS,
  OSD_PATHS,
  secretsNow,
  type SetSecrets,
} from './contract.js';
import { ANSWER_HEADERS_BYTES_MAX } from './answer-parser.js';
import { BYTE_TRANSACTIONS_SINCE, type ContractRange, TRACED_READS_SINCE } from './contract-version.js';
import type { Connect } from './connector.js';
import type { Decoder } from './decoder.js';
import { exchange, type HttpRequest } from './http-exchange.js';
import { AnswerBody, ReadChannel, takeAll, takeFrameHeader } from './http-read.js';
import { StageChannel, type StageRequest } from './http-stage.js';
import { parseJson } from './frame.js';
import { decodeListPage } from './list-page.js';
import { MalformedMessage } from './malformed-message.js';
import {
  cursorAnswer,
  evidenceAnswer,
  examinationsAnswer,
  headAnswer,
  identityAnswer,
  lostObjectsAnswer,
  progressAnswer,
  recordAnswer,
  pushAnswer,
  readHeader,
  rowsAnswer,
  statesAnswer,
  summariesAnswer,
} from './messages.js';
import {
  type ConnectionTrace,
  type ClearsReply,
  type ContractStanding,
  type ExaminationReply,
  type ExaminationRequest,
  type ForwardedBatch,
  type FollowedRequest,
  type ForwardedBatchReply,
  type HealOrder,
  type LostObject,
  type ObjectWitness,
  type OsdConnection,
  type OsdIdentity,
  type OsdTimeouts,
  OsdUnreachable,
  type PresentObject,
  type ReconcileOrder,
  type ReconcileProgress,
  type RemoteListPage,
  type RemoteListRequest,
  type RemotePush,
  type RemotePushReply,
  type RemoteRange,
  type RemoteRead,
  type RemoteStage,
  type RequestFollower,
  type RowCursor,
  type ScrubOrder,
  type TransactionBatch,
  type TransactionBatchReply,
  type WriterOrder,
} from './osd-connection.js';
import { decodeForwardedReply, encodeForwarded } from './forward-frame.js';
import {
  absentOrRefused,
  failedRead,
  nullIfAbsent,
  readOfReply,
  refusalOf,
  understand,
  unintelligible,
} from './osd-answers.js';
import { PeerContract } from './peer-contract.js';
import { ReadQueue } from './read-queue.js';
import {
  BATCHED_READ_BYTES_MAX,
  type BatchedReply,
  decodeReadsReply,
  encodeReads,
  type ReadBatch,
} from './reads-frame.js';
import { type BatchedPushReply, decodePushesReply, encodePush, encodePushes } from './push-frame.js';
import { PushQueue } from './push-queue.js';
import {
  listPath,
  objectPath,
  keptObjectPath,
  lostObjectsPath,
  objectStatePath,
  reconciliationPacePath,
  reconciliationPath,
  rowsPath,
  stagePath,
  summariesPath,
} from './request-paths.js';
import { type OsdPlaces, wayTo } from './way-to-osd.js';
import * as inBytes from './transaction-bytes.js';
import * as inJson from './transaction-frame.js';

export interface HttpOsdConnectionOptions extends Omit<OsdPlaces, 'connectMs'> {
  readonly secret: SetSecrets;
  readonly timeouts: OsdTimeouts;
  readonly trace?: ConnectionTrace | null;
  /** Default: what this build speaks. */
  readonly contract?: ContractRange;
}

/** Small requests in flight at once; more wait. */
const SMALL_CONNECTIONS_MAX = 16;
/** From the one who forwards to the writer, and from there to a mirror. */
const FORWARDED_HOPS = 2;
const REFUSAL_BYTES_MAX = 64 * 1024;

/** The version of the contract that brought them. */
const PUSH_BATCHES_SINCE = 2;
/** The version that brought fences for one run. */
const FENCED_RUN_SINCE = 2;

/** How batches of writes travel. */
const IN_BYTES = { ...inBytes, path: OSD_PATHS.byteTransactions, mediaType: MEDIA_TRANSACTIONS };
const IN_JSON = { ...inJson, path: OSD_PATHS.transactions, mediaType: MEDIA_FRAME };

const STATE_ONLY = { kind: 'none' } as const;

export class HttpOsdConnection implements OsdConnection {
  readonly url: string;
  readonly trace: ConnectionTrace | null;
  readonly #small: Pool;
  readonly #stages: StageChannel;
  readonly #large: ReadChannel;
  readonly #reads = new ReadQueue((batch) => this.#readTogether(batch));
  readonly #pushes = new PushQueue({
    knowsBatches: () => (this.contract?.agreed ?? 0) >= PUSH_BATCHES_SINCE,
    alone: (push) => this.#pushAlone(push),
    together: (pushes) => this.#pushTogether(pushes),
  });
  readonly #timeouts: OsdTimeouts;
  readonly #secret: SetSecrets;
  #authorization = { secret: '', text: '' };
  readonly #contract: PeerContract;

  /** Connects nowhere yet. Throws RangeError for a URL or secret that can't be one, and for a socket beside an https:// URL. */
  constructor(options: HttpOsdConnectionOptions) {
    const { timeouts } = options;
    const { origin, host, connect } = wayTo({ ...options, connectMs: timeouts.connectMs });
    this.url = options.url;
    this.trace = options.trace ?? null;
    this.#secret = options.secret;
    this.#authorize();
    this.#timeouts = timeouts;
    this.#contract = new PeerContract(options.url, options.contract);
    this.#small = new Pool(origin, {
      pipelining: 1,
      keepAliveTimeout: CLIENT_KEEP_ALIVE_MS,
      keepAliveMaxTimeout: CLIENT_KEEP_ALIVE_MS,
      maxHeaderSize: ANSWER_HEADERS_BYTES_MAX,
      connect: connect(),
      connections: SMALL_CONNECTIONS_MAX,
      maxResponseSize: ANSWER_BYTES_MAX,
    });
    const { hostname, port, protocol } = new URL(origin);
    const connectLarge =
      (reading: OnReadOpts): Connect =>
      (onOutcome) => {
        connect(reading)({ host, hostname, port, protocol }, onOutcome);
      };
    this.#large = new ReadChannel(host, connectLarge);
    this.#stages = new StageChannel(host, connectLarge);
  }

  /** With the secret of now. Throws RangeError for one that can't be one. */
  #authorize(): string {
    const [secret] = secretsNow(this.#secret);
    if (secret !== this.#authorization.secret)
      this.#authorization = { secret, text: authorizationOf(secret) };
    return this.#authorization.text;
  }

  get contract(): ContractStanding | null {
    return this.#contract.standing;
  }

  async identity(): Promise<OsdIdentity> {
    try {
      return await this.#identify('GET', OSD_PATHS.identity, null);
    } catch (error) {
      if (error instanceof OsdUnreachable) this.#contract.forget();
      throw error;
    }
  }

  async fence(epoch: Epoch, incarnation?: string): Promise<OsdIdentity> {
    const isKnown = (this.contract?.agreed ?? 0) >= FENCED_RUN_SINCE;
    const run = isKnown && incarnation !== undefined ? { incarnation } : {};
    return this.#identify('POST', OSD_PATHS.fence, { epoch, ...run });
  }

  async activate(epoch: Epoch): Promise<OsdIdentity> {
    return this.#identify('POST', OSD_PATHS.activation, { epoch });
  }

  async advance(from: Epoch, to: Epoch): Promise<OsdIdentity> {
    return this.#identify('POST', OSD_PATHS.advance, { from, to });
  }

  async rebuild(epoch: Epoch): Promise<OsdIdentity> {
    return this.#identify('POST', OSD_PATHS.rebuilding, { epoch });
  }

  async transact(batch: TransactionBatch): Promise<TransactionBatchReply> {
    const { encodeTransactions, decodeTransactionsReply, path, mediaType } =
      (this.contract?.agreed ?? 0) >= BYTE_TRANSACTIONS_SINCE ? IN_BYTES : IN_JSON;
    const body = await this.#send('POST', path, mediaType, encodeTransactions(batch));
    return understand(() => decodeTransactionsReply(body, batch.writes.length));
  }

  async appointWriter(order: WriterOrder): Promise<void> {
    await this.#put(OSD_PATHS.writer, order);
  }

  async forward(batch: ForwardedBatch): Promise<ForwardedBatchReply> {
    const writes = this.#isTracedThroughout
      ? batch.writes
      : batch.writes.map(({ traceparent: _unsaid, ...write }) => write);
    const frame = encodeForwarded({ ...batch, writes });
    const request = this.#smallRequest('POST', OSD_PATHS.forwardedWrites, MEDIA_FRAME, frame);
    const { connectMs, answerMs } = this.#timeouts;
    // The writer answers when its mirrors have, each of which takes as long as we would wait for it ourselves.
    const answerWithinMs = FORWARDED_HOPS * (connectMs + answerMs);
    const answer = await exchange(this.#small, { ...request, answerWithinMs }, ANSWER_BYTES_MAX);
    if (answer.status !== 200) throw refusalOf(answer);
    return understand(() => decodeForwardedReply(answer.body, batch.writes.length));
  }

  async dismissWriter(epoch: Epoch, generator: GeneratorId): Promise<void> {
    const request = Buffer.from(JSON.stringify({ epoch, generator }));
    await this.#send('POST', OSD_PATHS.writerDismissal, MEDIA_JSON, request);
  }

  openStage(lengthBytes: number | null = null): RemoteStage {
    return this.#stages.open(() => this.#stageRequest(), lengthBytes);
  }

  async discardStage(stageId: string): Promise<void> {
    await this.#send('DELETE', stagePath(stageId), null, null);
  }

  head(epoch: Epoch, id: ObjectId): Promise<PresentObject | null> {
    return this.#followed('head', (traceparent) =>
      this.#reads.run({
        ...{ epoch, id, traceparent },
        range: STATE_ONLY,
        understand: (reply) => (reply.kind === 'here' ? reply.state : absentOrRefused(reply)),
        alone: () => this.#headAlone(epoch, id, traceparent),
      }),
    );
  }

  read(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null> {
    return this.#followed('read', (traceparent) => {
      const alone = (): Promise<RemoteRead | null> =>
        this.#readFrame(epoch, objectPath(id, range), traceparent);
      if (isLarge(range)) return alone();
      return this.#reads.run({ epoch, id, range, traceparent, understand: readOfReply, alone });
    });
  }

  /** Who follows it, if anybody does, hears how it ended: of a read that streams, how it began. */
  #followed<Value>(
    what: FollowedRequest,
    ask: (traceparent: string | undefined) => Promise<Value>,
  ): Promise<Value> {
    const follower = this.trace?.followRequest(what) ?? null;
    return follower === null ? ask(undefined) : untilEnded(follower, ask);
  }

  /** Of an OSD of version 1 only writes and stages are followed. */
  get #isTracedThroughout(): boolean {
    return (this.contract?.agreed ?? 0) >= TRACED_READS_SINCE;
  }

  async #readTogether({ epoch, reads }: ReadBatch): Promise<readonly BatchedReply[]> {
    const batch = {
      epoch,
      reads: this.#isTracedThroughout ? reads : reads.map(({ id, range }) => ({ id, range })),
    };
    const body = await this.#send('POST', OSD_PATHS.reads, MEDIA_JSON, encodeReads(batch));
    return understand(() => decodeReadsReply(body, reads.length));
  }

  async #headAlone(
    epoch: Epoch,
    id: ObjectId,
    traceparent: string | undefined,
  ): Promise<PresentObject | null> {
    const request = this.#readRequest(objectStatePath(id), epoch, traceparent);
    const answer = await exchange(this.#small, request, ANSWER_BYTES_MAX);
    if (answer.status === 200) return understand(() => headAnswer.decodeBytes(answer.body)).state;
    return nullIfAbsent(refusalOf(answer));
  }

  #readRequest(path: string, epoch: Epoch, traceparent: string | undefined): HttpRequest {
    const request = this.#smallRequest('GET', path, null, null);
    request.headers.push(HEADER_EPOCH, String(epoch));
    if (traceparent !== undefined) request.headers.push(HEADER_TRACEPARENT, traceparent);
    return request;
  }

  async #readFrame(epoch: Epoch, path: string, traceparent?: string): Promise<RemoteRead | null> {
    const request = this.#readRequest(path, epoch, traceparent);
    const answer = await this.#large.open(request);
    if (answer.status !== 200) {
      const body = await takeAll(answer, REFUSAL_BYTES_MAX);
      return nullIfAbsent(refusalOf({ status: answer.status, body }));
    }
    try {
      const { state, extent } = readHeader.decode(await takeFrameHeader(answer));
      const body = new AnswerBody(answer, extent?.length ?? 0, failedRead);
      return { state, extent, bytes: null, body };
    } catch (error) {
      answer.release(Number.POSITIVE_INFINITY);
      throw unintelligible(error);
    }
  }

  list(epoch: Epoch, request: RemoteListRequest): Promise<RemoteListPage> {
    return this.#followed('list', async (traceparent) => {
      const http = this.#readRequest(listPath(request), epoch, traceparent);
      const answer = await exchange(this.#small, http, ANSWER_BYTES_MAX);
      if (answer.status !== 200) throw refusalOf(answer);
      return understand(() => decodeListPage(answer.body));
    });
  }

  async lostObjects(after: ObjectId | null, limit: number): Promise<readonly LostObject[]> {
    return (await this.#get(lostObjectsPath(after, limit), lostObjectsAnswer)).objects;
  }

  readKept(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null> {
    return this.#readFrame(epoch, keptObjectPath(id, range));
  }

  async rows(after: RowCursor | null, limit: number, epoch?: Epoch): Promise<readonly TagRow[]> {
    return (await this.#get(rowsPath(after, limit), rowsAnswer, epoch)).rows;
  }

  async summaries(after: ObjectId | null, limit: number, epoch?: Epoch): Promise<readonly ObjectSummary[]> {
    return (await this.#get(summariesPath(after, limit), summariesAnswer, epoch)).summaries;
  }

  async states(ids: readonly ObjectId[], epoch?: Epoch): Promise<readonly (ObjectState | null)[]> {
    const { states } = await this.#post(OSD_PATHS.states, { ids }, statesAnswer, epoch);
    if (states.length !== ids.length) throw unintelligible(new MalformedMessage('not one state for each id'));
    return states;
  }

  async evidence(epoch: Epoch, ids: readonly ObjectId[]): Promise<readonly ObjectWitness[]> {
    const { objects } = await this.#post(OSD_PATHS.evidence, { epoch, ids }, evidenceAnswer);
    if (objects.length !== ids.length)
      throw unintelligible(new MalformedMessage('not one witness for each id'));
    return objects;
  }

  push(push: RemotePush): Promise<RemotePushReply> {
    return this.#pushes.run(push);
  }

  async #pushTogether(pushes: readonly RemotePush[]): Promise<readonly BatchedPushReply[]> {
    const body = await this.#send('POST', OSD_PATHS.pushBatches, MEDIA_FRAME, encodePushes(pushes));
    return understand(() => decodePushesReply(body, pushes.length));
  }

  async #pushAlone(push: RemotePush): Promise<RemotePushReply> {
    const body = await this.#send('POST', OSD_PATHS.pushes, MEDIA_FRAME, encodePush(push));
    return understand(() => pushAnswer.decodeBytes(body));
  }

  async dropRows(
    setId: string,
    epoch: Epoch,
    rows: readonly RowCursor[],
    witnesses: readonly Witness[],
  ): Promise<ClearsReply> {
    const request = Buffer.from(JSON.stringify({ setId, epoch, rows, witnesses }));
    const body = await this.#send('POST', OSD_PATHS.rowDrops, MEDIA_JSON, request);
    return understand(() => inJson.decodeClearsReply(parseJson(body.toString('utf8'))));
  }

  async authorityRecord(): Promise<string | null> {
    return (await this.#get(OSD_PATHS.authorityRecord, recordAnswer)).record;
  }

  async keepAuthorityRecord(epoch: Epoch, record: string): Promise<void> {
    await this.#put(OSD_PATHS.authorityRecord, { epoch, record });
  }

  async setSelfDoubt(epoch: Epoch, reason: string | null): Promise<void> {
    await this.#put(OSD_PATHS.selfDoubt, { epoch, reason });
  }

  async beginFullCopy(epoch: Epoch, storeId: StoreId): Promise<void> {
    await this.#put(OSD_PATHS.fullCopy, { epoch, storeId });
  }

  async fullCopyCursor(): Promise<FullCopyCursor | null> {
    return (await this.#get(OSD_PATHS.fullCopyCursor, cursorAnswer)).cursor;
  }

  async setFullCopyCursor(epoch: Epoch, cursor: FullCopyCursor): Promise<void> {
    await this.#put(OSD_PATHS.fullCopyCursor, { epoch, cursor });
  }

  async endFullCopy(epoch: Epoch): Promise<void> {
    await this.#put(OSD_PATHS.fullCopyEnd, { epoch });
  }

  async examine(requests: readonly ExaminationRequest[]): Promise<readonly ExaminationReply[]> {
    const { examinations } = await this.#post(OSD_PATHS.examinations, { requests }, examinationsAnswer);
    if (examinations.length !== requests.length)
      throw unintelligible(new MalformedMessage('not one examination for each request'));
    return examinations;
  }

  async orderHeal(order: HealOrder): Promise<void> {
    await this.#send('POST', OSD_PATHS.heals, MEDIA_JSON, Buffer.from(JSON.stringify(order)));
  }

  async startScrub(order: ScrubOrder): Promise<void> {
    await this.#send('POST', OSD_PATHS.scrub, MEDIA_JSON, Buffer.from(JSON.stringify(order)));
  }

  async stopScrub(): Promise<void> {
    await this.#send('DELETE', OSD_PATHS.scrub, null, null);
  }

  async startReconcile(order: ReconcileOrder): Promise<ReconcileProgress> {
    return this.#post(OSD_PATHS.reconciliations, order, progressAnswer);
  }

  async reconcileProgress(epoch: Epoch): Promise<ReconcileProgress> {
    return this.#get(reconciliationPath(epoch), progressAnswer);
  }

  async setReconcilePace(epoch: Epoch, pace: CopyPace): Promise<ReconcileProgress> {
    const bytes = Buffer.from(JSON.stringify(pace));
    const body = await this.#send('PUT', reconciliationPacePath(epoch), MEDIA_JSON, bytes);
    return understand(() => progressAnswer.decodeBytes(body));
  }

  /** Whatever is in flight fails. */
  async close(): Promise<void> {
    this.#large.close();
    this.#stages.close();
    await this.#small.destroy();
  }

  /** Asks who is there, and in which versions of the contract it may be spoken to. The question itself may always be put. */
  async #identify(method: 'GET' | 'POST', path: string, request: object | null): Promise<OsdIdentity> {
    if (request !== null) this.#contract.refuseAcrossGap();
    const body = request === null ? null : Buffer.from(JSON.stringify(request));
    const http = this.#anyRequest(method, path, body === null ? null : MEDIA_JSON, body);
    const answer = await exchange(this.#small, http, ANSWER_BYTES_MAX);
    understand(() => {
      this.#contract.learn(answer);
    });
    if (answer.status !== 200) throw refusalOf(answer);
    this.#contract.refuseAcrossGap();
    return understand(() => identityAnswer.decodeBytes(answer.body));
  }

  /** Throws OsdRefusal `wrong-contract` when it is known that the OSD would not understand it. */
  #smallRequest(
    method: HttpRequest['method'],
    path: string,
    mediaType: string | null,
    body: Buffer | null,
  ): HttpRequest {
    this.#contract.refuseAcrossGap();
    return this.#anyRequest(method, path, mediaType, body);
  }

  #anyRequest(
    method: HttpRequest['method'],
    path: string,
    mediaType: string | null,
    body: Buffer | null,
  ): HttpRequest {
    const headers = [HEADER_AUTHORIZATION, this.#authorize(), HEADER_CONTRACT, this.#contract.headerText];
    if (mediaType !== null) headers.push('content-type', mediaType);
    const { connectMs, answerMs, bodyIdleMs } = this.#timeouts;
    return { method, path, headers, body, answerWithinMs: connectMs + answerMs, idleMs: bodyIdleMs };
  }

  /** The body of a successful answer. */
  async #send(
    method: HttpRequest['method'],
    path: string,
    mediaType: string | null,
    body: Buffer | null,
    epoch?: Epoch,
  ): Promise<Buffer> {
    const request = this.#smallRequest(method, path, mediaType, body);
    if (epoch !== undefined) request.headers.push(HEADER_EPOCH, String(epoch));
    const answer = await exchange(this.#small, request, ANSWER_BYTES_MAX);
    if (answer.status !== 200) throw refusalOf(answer);
    return answer.body;
  }

  async #get<Value>(path: string, decoder: Decoder<Value>, epoch?: Epoch): Promise<Value> {
    const body = await this.#send('GET', path, null, null, epoch);
    return understand(() => decoder.decodeBytes(body));
  }

  async #post<Value>(path: string, request: object, decoder: Decoder<Value>, epoch?: Epoch): Promise<Value> {
    const json = Buffer.from(JSON.stringify(request));
    const body = await this.#send('POST', path, MEDIA_JSON, json, epoch);
    return understand(() => decoder.decodeBytes(body));
  }

  async #put(path: string, request: object): Promise<void> {
    await this.#send('PUT', path, MEDIA_JSON, Buffer.from(JSON.stringify(request)));
  }

  #stageRequest(): StageRequest {
    const request = this.#smallRequest('POST', OSD_PATHS.stages, MEDIA_BYTES, null);
    const traceparent = this.trace?.traceparent() ?? null;
    if (traceparent !== null) request.headers.push(HEADER_TRACEPARENT, traceparent);
    return request;
  }
}

async function untilEnded<Value>(
  { traceparent, ended }: RequestFollower,
  ask: (traceparent: string) => Promise<Value>,
): Promise<Value> {
  try {
    const value = await ask(traceparent);
    ended(null);
    return value;
  } catch (error) {
    ended(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** For certain, whatever the size of the object. */
function isLarge(range: RemoteRange): boolean {
  if (range.kind === 'suffix') return range.lengthBytes > BATCHED_READ_BYTES_MAX;
  return range.kind === 'between' && (range.last ?? 0) - range.first >= BATCHED_READ_BYTES_MAX;
}
