/** Routes with small JSON requests and answers: identity, fence, listings, tag table, reconciliation. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { toEpoch, type Epoch } from '../protocol/tag.js';
import {
  HEADER_EPOCH,
  HEADER_TRACEPARENT,
  JSON_REQUEST_BYTES_MAX,
  MEDIA_JSON,
  OSD_PATHS,
} from '../wire/contract.js';
import { MalformedMessage, malformedOnRangeError } from '../wire/malformed-message.js';
import {
  advanceRequest,
  cursorRequest,
  dismissalRequest,
  epochRequest,
  evidenceRequest,
  examinationRequest,
  fenceRequest,
  fullCopyRequest,
  healRequest,
  paceRequest,
  reconcileRequest,
  recordRequest,
  rowDropRequest,
  scrubRequest,
  selfDoubtRequest,
  statesRequest,
  writerRequest,
} from '../wire/messages.js';
import { asObjectId, asRecord, asText, type JsonRecord, refuseUnknown } from '../wire/record-reader.js';
import {
  countOfText,
  idsRequestOf,
  LIST_PARAMETERS,
  listRequestOf,
  ROWS_PARAMETERS,
  rowsRequestOf,
  STATE_PARAMETERS,
  SUMMARIES_PARAMETERS,
} from '../wire/request-paths.js';
import { LOST_OBJECTS_PAGE_MAX, SUMMARIES_PAGE_MAX } from '../wire/osd-connection.js';
import type { LocalOsd } from './local-osd.js';
import { type FollowedWork, type OsdTrace, traced } from './osd-trace.js';
import { refusal } from './refusal.js';

/** A path of the contract as fastify writes it. */
function routeOf(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

export function bodyOf(request: FastifyRequest): Buffer {
  if (!Buffer.isBuffer(request.body)) throw new MalformedMessage('a body is missing');
  return request.body;
}

/** `known`: the parameters of the route; others are refused. */
export function queryOf(request: FastifyRequest, known: ReadonlySet<string>): JsonRecord {
  const query = asRecord(request.query, 'query');
  refuseUnknown(query, 'query', known);
  return query;
}

function parameterOf(request: FastifyRequest, name: string): string {
  return asText(asRecord(request.params, 'path')[name], name);
}

function epochOfText(text: unknown, name: string): Epoch {
  const count = countOfText(text, name);
  return malformedOnRangeError(() => toEpoch(count));
}

/** The epoch that a read states. */
export function epochOf(request: FastifyRequest): Epoch {
  return epochOfText(request.headers[HEADER_EPOCH], HEADER_EPOCH);
}

export function sendJson(reply: FastifyReply, value: object): FastifyReply {
  return reply.type(MEDIA_JSON).send(Buffer.from(JSON.stringify(value)));
}

const DONE = {};

export function addFenceRoutes(app: FastifyInstance, osd: LocalOsd): void {
  app.get(OSD_PATHS.identity, async (_request, reply) => sendJson(reply, await osd.identity()));
  app.post(OSD_PATHS.fence, async (request, reply) => {
    const { epoch, incarnation } = fenceRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, await osd.fence(epoch, incarnation));
  });
  app.post(OSD_PATHS.activation, async (request, reply) => {
    const { epoch } = epochRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, await osd.activate(epoch));
  });
  app.post(OSD_PATHS.advance, async (request, reply) => {
    const { from, to } = advanceRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, await osd.advance(from, to));
  });
  app.post(OSD_PATHS.rebuilding, async (request, reply) => {
    const { epoch } = epochRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, await osd.rebuild(epoch));
  });
}

export function addWriterRoutes(app: FastifyInstance, osd: LocalOsd): void {
  app.put(OSD_PATHS.writer, async (request, reply) => {
    await osd.appointWriter(writerRequest.decodeBytes(bodyOf(request)));
    return sendJson(reply, DONE);
  });
  app.post(OSD_PATHS.writerDismissal, async (request, reply) => {
    const { epoch, generator } = dismissalRequest.decodeBytes(bodyOf(request));
    await osd.dismissWriter(epoch, generator);
    return sendJson(reply, DONE);
  });
}

/** The epoch of a reconciliation that asks; undefined: somebody else does. */
function optionalEpochOf(request: FastifyRequest): Epoch | undefined {
  return request.headers[HEADER_EPOCH] === undefined ? undefined : epochOf(request);
}

/** Null: nobody follows the request. */
export function followed(
  trace: OsdTrace | null,
  name: 'stage' | 'read' | 'list',
  { headers }: FastifyRequest,
): FollowedWork | null {
  const traceparent = headers[HEADER_TRACEPARENT];
  return trace !== null && typeof traceparent === 'string' ? trace.begin(name, traceparent) : null;
}

export function addListingRoutes(app: FastifyInstance, osd: LocalOsd, trace: OsdTrace | null): void {
  app.get(OSD_PATHS.objectState, async (request, reply) => {
    const id = asObjectId(queryOf(request, STATE_PARAMETERS)['id'], 'id');
    const state = await traced(followed(trace, 'read', request), () => osd.head(epochOf(request), id));
    if (state === null) throw refusal('no-such-object', 'there is no such object');
    return sendJson(reply, { state });
  });
  app.get(OSD_PATHS.objects, async (request, reply) => {
    const wanted = listRequestOf(queryOf(request, LIST_PARAMETERS));
    return sendJson(
      reply,
      await traced(followed(trace, 'list', request), () => osd.list(epochOf(request), wanted)),
    );
  });
  app.get(OSD_PATHS.tagTable, async (request, reply) => {
    const { after, limit } = rowsRequestOf(queryOf(request, ROWS_PARAMETERS));
    return sendJson(reply, { rows: await osd.rows(after, limit, optionalEpochOf(request)) });
  });
  app.get(OSD_PATHS.summaries, async (request, reply) => {
    const { after, limit } = idsRequestOf(queryOf(request, SUMMARIES_PARAMETERS), SUMMARIES_PAGE_MAX);
    return sendJson(reply, { summaries: await osd.summaries(after, limit, optionalEpochOf(request)) });
  });
  app.get(OSD_PATHS.lostObjects, async (request, reply) => {
    const { after, limit } = idsRequestOf(queryOf(request, SUMMARIES_PARAMETERS), LOST_OBJECTS_PAGE_MAX);
    return sendJson(reply, { objects: await osd.lostObjects(after, limit) });
  });
  app.post(OSD_PATHS.states, { bodyLimit: JSON_REQUEST_BYTES_MAX }, async (request, reply) => {
    const { ids } = statesRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, { states: await osd.states(ids, optionalEpochOf(request)) });
  });
  app.post(OSD_PATHS.evidence, { bodyLimit: JSON_REQUEST_BYTES_MAX }, async (request, reply) => {
    const { epoch, ids } = evidenceRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, { objects: await osd.evidence(epoch, ids) });
  });
}

export function addRepairRoutes(app: FastifyInstance, osd: LocalOsd): void {
  app.post(OSD_PATHS.rowDrops, { bodyLimit: JSON_REQUEST_BYTES_MAX }, async (request, reply) => {
    const { setId, epoch, rows, witnesses } = rowDropRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, await osd.dropRows(setId, epoch, rows, witnesses));
  });
  app.get(OSD_PATHS.authorityRecord, async (_request, reply) =>
    sendJson(reply, { record: await osd.authorityRecord() }),
  );
  app.put(OSD_PATHS.authorityRecord, { bodyLimit: JSON_REQUEST_BYTES_MAX }, async (request, reply) => {
    const { epoch, record } = recordRequest.decodeBytes(bodyOf(request));
    await osd.keepAuthorityRecord(epoch, record);
    return sendJson(reply, DONE);
  });
  app.put(OSD_PATHS.selfDoubt, async (request, reply) => {
    const { epoch, reason } = selfDoubtRequest.decodeBytes(bodyOf(request));
    await osd.setSelfDoubt(epoch, reason);
    return sendJson(reply, DONE);
  });
  app.put(OSD_PATHS.fullCopy, async (request, reply) => {
    const { epoch, storeId } = fullCopyRequest.decodeBytes(bodyOf(request));
    await osd.beginFullCopy(epoch, storeId);
    return sendJson(reply, DONE);
  });
  app.put(OSD_PATHS.fullCopyEnd, async (request, reply) => {
    const { epoch } = epochRequest.decodeBytes(bodyOf(request));
    await osd.endFullCopy(epoch);
    return sendJson(reply, DONE);
  });
  app.get(OSD_PATHS.fullCopyCursor, async (_request, reply) =>
    sendJson(reply, { cursor: await osd.fullCopyCursor() }),
  );
  app.put(OSD_PATHS.fullCopyCursor, async (request, reply) => {
    const { epoch, cursor } = cursorRequest.decodeBytes(bodyOf(request));
    await osd.setFullCopyCursor(epoch, cursor);
    return sendJson(reply, DONE);
  });
  app.post(OSD_PATHS.examinations, { bodyLimit: JSON_REQUEST_BYTES_MAX }, async (request, reply) => {
    const { requests } = examinationRequest.decodeBytes(bodyOf(request));
    return sendJson(reply, { examinations: await osd.examine(requests) });
  });
  app.post(OSD_PATHS.heals, async (request, reply) => {
    await osd.orderHeal(healRequest.decodeBytes(bodyOf(request)));
    return sendJson(reply, DONE);
  });
  app.post(OSD_PATHS.scrub, async (request, reply) => {
    await osd.startScrub(scrubRequest.decodeBytes(bodyOf(request)));
    return sendJson(reply, DONE);
  });
  app.delete(OSD_PATHS.scrub, async (_request, reply) => {
    await osd.stopScrub();
    return sendJson(reply, DONE);
  });
  app.post(OSD_PATHS.reconciliations, async (request, reply) =>
    sendJson(reply, await osd.startReconcile(reconcileRequest.decodeBytes(bodyOf(request)))),
  );
  app.get(routeOf(OSD_PATHS.reconciliation), async (request, reply) => {
    const epoch = epochOfText(parameterOf(request, 'epoch'), 'epoch');
    return sendJson(reply, await osd.reconcileProgress(epoch));
  });
  app.put(routeOf(OSD_PATHS.reconciliationPace), async (request, reply) => {
    const epoch = epochOfText(parameterOf(request, 'epoch'), 'epoch');
    return sendJson(reply, await osd.setReconcilePace(epoch, paceRequest.decodeBytes(bodyOf(request))));
  });
  app.delete(routeOf(OSD_PATHS.stage), async (request, reply) => {
    await osd.discardStage(parameterOf(request, 'stageId'));
    return sendJson(reply, DONE);
  });
}
