/** Routes that carry content: transactions and pushes as frames, stages as raw streams, reads as framed streams. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  FRAME_HEADER_BYTES_MAX,
  JSON_REQUEST_BYTES_MAX,
  MEDIA_BYTES,
  MEDIA_FRAME,
  MEDIA_JSON,
  MEDIA_TRANSACTIONS,
  OSD_PATHS,
  TRAILER_ERROR,
} from '../wire/contract.js';
import { decodeForwarded, encodeForwardedReply } from '../wire/forward-frame.js';
import { encodeFrame } from '../wire/frame.js';
import {
  BATCH_CONTENT_BYTES_MAX,
  INLINE_CONTENT_BYTES_MAX,
  type TransactionBatch,
  type TransactionBatchReply,
} from '../wire/osd-connection.js';
import { BATCH_PUSH_BYTES_MAX, decodePush, decodePushes, encodePushesReply } from '../wire/push-frame.js';
import { asObjectId } from '../wire/record-reader.js';
import { OBJECT_PARAMETERS, rangeOfText } from '../wire/request-paths.js';
import { decodeReads, encodeReadsReply } from '../wire/reads-frame.js';
import * as inBytes from '../wire/transaction-bytes.js';
import * as inJson from '../wire/transaction-frame.js';
import type { StoreRead } from '../store/object-store.js';
import { pushTogether } from './batched-pushes.js';
import { readTogether } from './batched-reads.js';
import { eachPiece } from './body-pieces.js';
import type { ErrorResponder } from './error-responses.js';
import type { LocalOsd } from './local-osd.js';
import type { HotRequest, HotRequests } from './hot-requests.js';
import { bodyOf, epochOf, followed, queryOf, sendJson } from './osd-routes.js';
import { type OsdTrace, traced, traceWrites } from './osd-trace.js';
import { refusal } from './refusal.js';

const TRANSACTIONS_BYTES_MAX = FRAME_HEADER_BYTES_MAX + BATCH_CONTENT_BYTES_MAX;
const PUSH_BATCH_BYTES_MAX = FRAME_HEADER_BYTES_MAX + BATCH_PUSH_BYTES_MAX;
const PUSH_BYTES_MAX = FRAME_HEADER_BYTES_MAX + INLINE_CONTENT_BYTES_MAX;

/** What travels in batches, one after the other and all day. */
export function hotRequests(osd: LocalOsd, responder: ErrorResponder, trace: OsdTrace | null): HotRequests {
  const untraced = (batch: TransactionBatch): Promise<TransactionBatchReply> => osd.transact(batch);
  const transact = trace === null ? untraced : traceWrites(trace, untraced);
  return new Map<string, HotRequest>([
    [
      OSD_PATHS.transactions,
      {
        mediaType: MEDIA_FRAME,
        bytesMax: TRANSACTIONS_BYTES_MAX,
        answerMediaType: MEDIA_JSON,
        perform: async (body) =>
          inJson.encodeTransactionsReply(await transact(inJson.decodeTransactions(body))),
      },
    ],
    [
      OSD_PATHS.byteTransactions,
      {
        mediaType: MEDIA_TRANSACTIONS,
        bytesMax: TRANSACTIONS_BYTES_MAX,
        answerMediaType: MEDIA_TRANSACTIONS,
        perform: async (body) =>
          inBytes.encodeTransactionsReply(await transact(inBytes.decodeTransactions(body))),
      },
    ],
    [
      OSD_PATHS.forwardedWrites,
      {
        mediaType: MEDIA_FRAME,
        bytesMax: TRANSACTIONS_BYTES_MAX,
        answerMediaType: MEDIA_JSON,
        perform: async (body) => encodeForwardedReply(await osd.forward(decodeForwarded(body))),
      },
    ],
    [
      OSD_PATHS.reads,
      {
        mediaType: MEDIA_JSON,
        bytesMax: JSON_REQUEST_BYTES_MAX,
        answerMediaType: MEDIA_FRAME,
        perform: async (body) =>
          encodeReadsReply(await readTogether({ osd, responder, trace }, decodeReads(body))),
      },
    ],
    [
      OSD_PATHS.pushBatches,
      {
        mediaType: MEDIA_FRAME,
        bytesMax: PUSH_BATCH_BYTES_MAX,
        answerMediaType: MEDIA_JSON,
        perform: async (body) => encodePushesReply(await pushTogether(osd, decodePushes(body), responder)),
      },
    ],
  ]);
}

export interface WriteRouteOptions {
  readonly trace: OsdTrace | null;
  /** Called with what came from a socket and was copied. */
  readonly freeBytes: (bytes: Buffer) => void;
}

export function addWriteRoutes(
  app: FastifyInstance,
  osd: LocalOsd,
  { trace, freeBytes }: WriteRouteOptions,
): void {
  app.post(OSD_PATHS.pushes, { bodyLimit: PUSH_BYTES_MAX }, async (request, reply) =>
    sendJson(reply, await osd.push(decodePush(bodyOf(request)))),
  );
  app.post(OSD_PATHS.stages, async (request, reply) => {
    // Any other type was parsed already: its body would look empty here.
    if (request.headers['content-type'] !== MEDIA_BYTES) {
      throw refusal('unsupported-media-type', `a stage is ${MEDIA_BYTES}`);
    }
    const staged = await traced(followed(trace, 'stage', request), () =>
      osd.clients.during(() => takeStage(osd, request.raw, freeBytes)),
    );
    return sendJson(reply, staged);
  });
}

/** Streams a request's body into a stage. A client that goes away half-way, or a refusal, leaves nothing of it. */
async function takeStage(
  osd: LocalOsd,
  body: IncomingMessage,
  freeBytes: (bytes: Buffer) => void,
): Promise<object> {
  const stage = osd.openOwnStage();
  try {
    await eachPiece(body, (piece) => {
      const busy = stage.write(piece);
      freeBytes(piece);
      return busy;
    });
    if (!body.complete) throw refusal('bad-request', 'the client went away');
    const { stageId, lengthBytes, contentChecksum } = await stage.finish();
    return { stageId, lengthBytes, contentChecksum };
  } catch (error) {
    await stage.abort();
    // The connection stays, so that a refusal can still be answered on it.
    body.resume();
    throw error;
  }
}

export interface ReadRouteOptions {
  readonly responder: ErrorResponder;
  /** True while the server drains: then every connection is closed after its answer. */
  readonly endsConnections: () => boolean;
  readonly trace: OsdTrace | null;
}

export function addReadRoutes(app: FastifyInstance, osd: LocalOsd, options: ReadRouteOptions): void {
  const open = (request: FastifyRequest, read: LocalOsd['openRead']): Promise<StoreRead | null> => {
    const query = queryOf(request, OBJECT_PARAMETERS);
    return read(epochOf(request), asObjectId(query['id'], 'id'), rangeOfText(query['range']));
  };
  const answer = async (reply: FastifyReply, read: StoreRead | null): Promise<FastifyReply> => {
    if (read === null) throw refusal('no-such-object', 'there is no such object');
    const header = { state: read.state, extent: read.extent };
    if (read.bytes !== null || read.extent === null || read.extent.length === 0) {
      if (read.bytes === null) await letGo(read);
      return reply.type(MEDIA_FRAME).send(encodeFrame(header, read.bytes === null ? [] : [read.bytes]));
    }
    await osd.clients.during(() => streamRead(reply, encodeFrame(header, []), read, options));
    return reply;
  };
  app.get(OSD_PATHS.object, async (request, reply) =>
    answer(
      reply,
      await traced(followed(options.trace, 'read', request), () =>
        open(request, (epoch, id, range) => osd.openRead(epoch, id, range)),
      ),
    ),
  );
  app.get(OSD_PATHS.keptObject, async (request, reply) =>
    answer(reply, await open(request, (epoch, id, range) => osd.openKept(epoch, id, range))),
  );
}

/** What the operating system does not take waits here; the next piece waits until all of it is gone. */
const UNSENT_BYTES_MAX = 128 * 1024;

/** The body is not needed; it must not pin its blobs. */
async function letGo(read: StoreRead): Promise<void> {
  await read.body[Symbol.asyncIterator]().return?.();
}

async function streamRead(
  reply: FastifyReply,
  head: Buffer,
  read: StoreRead,
  { responder, endsConnections }: ReadRouteOptions,
): Promise<void> {
  reply.hijack();
  const response = reply.raw;
  const connection = endsConnections() ? { connection: 'close' } : {};
  response.writeHead(200, { 'content-type': MEDIA_FRAME, trailer: TRAILER_ERROR, ...connection });
  const { body } = read;
  try {
    response.write(head);
    for await (const piece of body) {
      if (response.writableLength > UNSENT_BYTES_MAX) await roomIn(response);
      if (response.destroyed) return;
      // Called also when the connection breaks, and not before the operating system has the bytes.
      response.write(piece, () => body.giveBack?.(piece));
    }
  } catch (error) {
    // The head is out already: what is left is to end short, and to say why.
    response.addTrailers({ [TRAILER_ERROR]: responder.refusalOf(error).code });
  }
  response.end();
}

/** Resolves when the response takes more, or takes nothing any more. */
function roomIn(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const onRoom = (): void => {
      response.off('drain', onRoom);
      response.off('close', onRoom);
      resolve();
    };
    response.on('drain', onRoom);
    response.on('close', onRoom);
  });
}
