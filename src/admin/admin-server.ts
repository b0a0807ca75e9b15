/**
 * The admin API (`openapi/admin.yaml`): what operators, the command line and monitoring see of a mirror set. Nothing listens yet
 * when it is made.
 *
 * - Everything but the health of the process needs a bearer token, and its role decides what it opens: `access.ts`.
 * - Whatever changes something goes on record in the audit log, with its outcome.
 * - Every error leaves as JSON { code, message } with a code of `admin-errors.ts`.
 * - `close()` ends the streams and lets other requests finish.
 */
import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
} from 'fastify';
import { ForceRefusal } from '../gateway/force.js';
import type { ForceObjectOrder } from '../gateway/force-object.js';
import { ObjectStorageError } from '../gateway/object-storage.js';
import type { MirrorSetControl } from '../gateway/gateway.js';
import { invariant, InvariantViolation } from '../protocol/invariant.js';
import type { CertificateExpiry } from '../metrics/certificate-metrics.js';
import type { CopyPace } from '../protocol/pace.js';
import { makeObjectId, parseObjectId } from '../protocol/object-id.js';
import { tagEpoch } from '../protocol/tag.js';
import type { TagRow } from '../protocol/write.js';
import { makeNodeServer, type ServerTls } from '../tls/node-server.js';
import { OsdRefusal, OsdUnreachable } from '../wire/osd-connection.js';
import { type AdminToken, METRICS_PATH, requireToken } from './access.js';
import { ADMIN_ERRORS, AdminError } from './admin-errors.js';
import {
  type AdminLimits,
  DEFAULT_ADMIN_LIMITS,
  REQUEST_BODY_BYTES_MAX,
  TAG_TABLE_PAGE_DEFAULT,
} from './admin-limits.js';
import type { AuditLog } from './audit-log.js';
import { addConsole, isConsoleRoute } from './console-routes.js';
import { makeGatewayMetrics } from './gateway-metrics.js';
import { History } from './history.js';
import type { ObjectBrowser } from './object-browser.js';
import { addObjectRoutes } from './object-routes.js';
import { historyQuerySchema, historySchema } from './object-schemas.js';
import { OperationStreams } from './operation-stream.js';
import { formatCursor, parseCursor } from './paging-cursor.js';
import { S3Figures, type S3FiguresSource } from './s3-figures.js';
import { addSetRoutes, type MirrorSets } from './set-routes.js';
import {
  accessSchema,
  alreadyRunningSchema,
  errorSchema,
  eventsSchema,
  forceBodySchema,
  forceObjectBodySchema,
  forceObjectPlanSchema,
  forceObjectQuerySchema,
  forcePlanSchema,
  forceQuerySchema,
  healthSchema,
  operationParametersSchema,
  operationSchema,
  operationsSchema,
  paceChangeSchema,
  paceSchema,
  scrubQuerySchema,
  scrubStartedSchema,
  statusSchema,
  tagTableQuerySchema,
  tagTableSchema,
} from './schemas.js';
import { addVerifyRoutes } from './verify-routes.js';

export interface AdminServerOptions {
  /** The mirror sets; at least one. */
  readonly sets: MirrorSets;
  /** Who may do what as of now; no two have the same token. */
  readonly tokens: () => readonly AdminToken[];
  /** What the S3 server is observed by. */
  readonly figures?: S3FiguresSource;
  /** For metrics. */
  readonly certificates?: () => Iterable<CertificateExpiry>;
  readonly audit: AuditLog;
  readonly browser: ObjectBrowser;
  /** Where the build has put the console; null: there is none. */
  readonly consoleFolder: string | null;
  /** openapi/admin.yaml. */
  readonly document: string;
  readonly logger: FastifyBaseLogger;
  /** Default: plain HTTP. */
  readonly tls?: ServerTls | null;
  /** Unix ms. */
  readonly clock: () => number;
  readonly softwareVersion: string;
  readonly limits?: Partial<AdminLimits>;
  /** True from the moment at which it was asked to stop, which may be long before `close()`: it serves on, and is not ready. */
  readonly isStopping?: () => boolean;
  /** Our bug: stops the process. Called after the log has it. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

const DOCUMENT_PATH = '/openapi.yaml';
const PATHS_WITHOUT_TOKEN: readonly (string | undefined)[] = ['/health/live', '/health/ready', DOCUMENT_PATH];
/** How long a connection without a request stays open. */
const KEEP_ALIVE_MS = 72_000;

export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const limits: AdminLimits = { ...DEFAULT_ADMIN_LIMITS, ...options.limits };
  const app: FastifyInstance = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    bodyLimit: REQUEST_BODY_BYTES_MAX,
    clientErrorHandler: refuseConnection,
    serverFactory: (listener) => makeServer(listener, limits, options.tls ?? null),
  });
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  const streams = new OperationStreams(limits);
  app.addHook('preClose', async () => {
    streams.close();
  });
  requireToken(app, {
    tokens: options.tokens,
    audit: options.audit,
    isOpen: (route) => PATHS_WITHOUT_TOKEN.includes(route) || isConsoleRoute(route),
  });
  answerErrors(app, options);
  const { sets } = options;
  const [first] = sets.controls.values();
  invariant(first !== undefined, 'there is at least one mirror set');
  const addRoutes = (scope: FastifyInstance, control: MirrorSetControl): void => {
    addStatusRoutes(scope, control, options);
    addReconcileRoutes(scope, control, streams);
    addPaceRoutes(scope, control);
    addTagTableRoute(scope, control);
    addScrubRoute(scope, control);
    addVerifyRoutes(scope, control);
    addForceRoutes(scope, control);
    addHistoryRoute(scope, control, options);
  };
  const { isStopping = () => false } = options;
  app.addHook('onSend', async (_request, reply) => {
    if (isStopping()) void reply.header('connection', 'close');
  });
  addHealthRoutes(app, sets, isStopping);
  addMetricsRoute(app, options);
  addRoutes(app, first);
  addSetRoutes(app, sets, addRoutes);
  addAccessRoute(app);
  addObjectRoutes(app, options.browser);
  app.get(DOCUMENT_PATH, (_request, reply) => reply.type('application/yaml').send(options.document));
  if (options.consoleFolder !== null) addConsole(app, options.consoleFolder);
  return app;
}

function makeServer(listener: RequestListener, limits: AdminLimits, tls: ServerTls | null): Server {
  const { connectionIdleMs, headerBytesMax, headersTimeoutMs, connectionsMax } = limits;
  const options = {
    // Bodies have a limit on their pauses, and none on the whole time.
    requestTimeout: 0,
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: headersTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const server = makeNodeServer(listener, options, tls);
  server.setTimeout(connectionIdleMs);
  server.maxConnections = connectionsMax;
  return server;
}

/** For bytes that are no HTTP request, and for headers that are too many or do not come. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, message } = ADMIN_ERRORS['bad-request'];
  const body = JSON.stringify({ code: 'bad-request', message });
  socket.end(
    `HTTP/1.1 ${status} Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** The one place that turns errors into answers. */
function answerErrors(app: FastifyInstance, { onInvariantViolation }: AdminServerOptions): void {
  app.setNotFoundHandler(() => {
    throw new AdminError('not-found');
  });
  app.setErrorHandler((thrown: unknown, request, reply) => {
    const error = toAdminError(thrown);
    const { status } = ADMIN_ERRORS[error.code];
    if (error.code === 'internal-error') request.log.error({ err: thrown }, 'the admin API failed');
    void reply.code(status).send({ code: error.code, message: error.message });
    if (thrown instanceof InvariantViolation) onInvariantViolation(thrown);
  });
}

function toAdminError(thrown: unknown): AdminError {
  if (thrown instanceof AdminError) return thrown;
  if (thrown instanceof ForceRefusal) return new AdminError(thrown.code, `${thrown.message}.`);
  if (thrown instanceof ObjectStorageError) return new AdminError('not-ready', `${thrown.message}.`);
  if (thrown instanceof OsdUnreachable || thrown instanceof OsdRefusal) {
    return new AdminError('mirror-unreachable', undefined, { cause: thrown });
  }
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : undefined;
  if (status === 413) return new AdminError('payload-too-large', undefined, { cause: thrown });
  if (thrown instanceof Error && typeof status === 'number' && status < 500) {
    return new AdminError('bad-request', `${ADMIN_ERRORS['bad-request'].message} ${thrown.message}`, {
      cause: thrown,
    });
  }
  return new AdminError('internal-error', undefined, { cause: thrown });
}

function addHealthRoutes(app: FastifyInstance, { controls }: MirrorSets, isStopping: () => boolean): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/health/live', { schema: { response: { 200: healthSchema } } }, async () => ({
    status: 'live',
  }));
  typed.get('/health/ready', { schema: { response: { 200: healthSchema, 503: errorSchema } } }, async () => {
    if (isStopping()) throw new AdminError('not-ready', 'The gateway is stopping.');
    const sets = Array.from(controls.values(), (control) => control.status());
    // One that waits is no reason to turn requests for the others away.
    if (sets.some(({ phase }) => phase === 'active')) return { status: 'ready' };
    const whys = sets.map(({ phase, waitingFor }) => phase + (waitingFor === null ? '' : `: ${waitingFor}`));
    throw new AdminError('not-ready', `The mirror set is ${whys.join('; the next one is ')}.`);
  });
}

/** What the caller may do, so that a client need not offer what would be refused. */
function addAccessRoute(app: FastifyInstance): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/access', { schema: { response: { 200: accessSchema } } }, async ({ caller }) => {
    invariant(caller !== null, 'the route is not open to anybody');
    return caller;
  });
}

function addMetricsRoute(app: FastifyInstance, options: AdminServerOptions): void {
  const { figures = new S3Figures(), certificates = () => [] } = options;
  const metrics = makeGatewayMetrics({ ...options, s3: figures, certificates });
  app.get(METRICS_PATH, async (_request, reply) => {
    const { contentType, text } = await metrics.render();
    return reply.type(contentType).send(text);
  });
}

function addStatusRoutes(
  app: FastifyInstance,
  control: MirrorSetControl,
  { softwareVersion, clock }: AdminServerOptions,
): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/status', { schema: { response: { 200: statusSchema } } }, async () => ({
    softwareVersion,
    nowMs: clock(),
    ...control.status(),
  }));
  typed.get('/events', { schema: { response: { 200: eventsSchema } } }, async () => ({
    events: control.events(),
  }));
}

function addHistoryRoute(
  app: FastifyInstance,
  control: MirrorSetControl,
  { clock }: AdminServerOptions,
): void {
  const history = new History(control, clock);
  app.addHook('onListen', async () => {
    history.start();
  });
  app.addHook('onClose', async () => {
    history.stop();
  });
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/history',
      { schema: { querystring: historyQuerySchema, response: { 200: historySchema } } },
      async ({ query }) => ({ samples: [...history.since(query.after ?? 0)] }),
    );
}

function addReconcileRoutes(
  app: FastifyInstance,
  control: MirrorSetControl,
  streams: OperationStreams,
): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  const operationOf = (id: string) => {
    const operation = control.operation(id);
    if (operation === null) throw new AdminError('no-such-operation');
    return operation;
  };
  typed.get('/reconcile', { schema: { response: { 200: operationsSchema } } }, async () => ({
    operations: control.operations(),
  }));
  typed.post(
    '/reconcile',
    { schema: { response: { 202: operationSchema, 409: alreadyRunningSchema } } },
    async (_request, reply) => {
      const { operation, isNew } = control.reconcile();
      void reply.header('location', `${app.prefix}/reconcile/${operation.id}`);
      if (isNew) return reply.code(202).send(operation);
      const { status, message } = ADMIN_ERRORS['already-running'];
      return reply.code(status).send({ code: 'already-running', message, operation });
    },
  );
  typed.get(
    '/reconcile/:id',
    { schema: { params: operationParametersSchema, response: { 200: operationSchema } } },
    async (request) => operationOf(request.params.id),
  );
  typed.get(
    '/reconcile/:id/events',
    { schema: { params: operationParametersSchema } },
    async (request, reply): Promise<FastifyReply> => {
      const { id } = request.params;
      operationOf(id);
      if (streams.isFull) throw new AdminError('too-many-streams');
      reply.hijack();
      streams.follow(reply.raw, () => control.operation(id));
      return reply;
    },
  );
}

function addPaceRoutes(app: FastifyInstance, control: MirrorSetControl): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  const paceOr409 = (pace: CopyPace | null): CopyPace => {
    if (pace === null) throw new AdminError('not-paced');
    return pace;
  };
  typed.get('/pace', { schema: { response: { 200: paceSchema } } }, async () => paceOr409(control.pace()));
  typed.patch(
    '/pace',
    { schema: { body: paceChangeSchema, response: { 200: paceSchema } } },
    async ({ body }) => paceOr409(control.setPace(body)),
  );
}

function toTagTableRow(row: TagRow) {
  const { container, name, version } = parseObjectId(row.objectId);
  const { tag, kind, mode, offset, length, checksum, commitSequence, writtenMs } = row;
  return {
    ...{ tag, epoch: tagEpoch(tag), bucket: container, key: name, version },
    ...{ kind, mode, offset, length, checksum, commitSequence, writtenMs },
  };
}

function addTagTableRoute(app: FastifyInstance, control: MirrorSetControl): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get(
    '/tag-table',
    { schema: { querystring: tagTableQuerySchema, response: { 200: tagTableSchema } } },
    async (request) => {
      const { mirror, after, limit = TAG_TABLE_PAGE_DEFAULT } = request.query;
      const page = control.rows(mirror, after === undefined ? null : parseCursor(after), limit);
      if (page === null) throw noSuchMirror(control, mirror);
      const rows = await page;
      const last = rows.at(-1);
      const next = last === undefined || rows.length < limit ? null : formatCursor(last);
      return { mirror, rows: rows.map(toTagTableRow), next };
    },
  );
}

function noSuchMirror(control: MirrorSetControl, mirror: string): AdminError {
  const names = control.status().mirrors.map((known) => known.mirror);
  return new AdminError('no-such-mirror', `There is no mirror ${mirror}, but ${names.join(', ')}.`);
}

function nothingToScrub(control: MirrorSetControl, mirror: string | null): AdminError {
  if (mirror === null) return new AdminError('no-such-mirror', 'No mirror is in sync.');
  const isMember = control.status().mirrors.some((known) => known.mirror === mirror);
  if (!isMember) return noSuchMirror(control, mirror);
  return new AdminError('no-such-mirror', `${mirror} is not in sync, and only such mirrors are scrubbed.`);
}

function addScrubRoute(app: FastifyInstance, control: MirrorSetControl): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.post(
    '/scrub',
    { schema: { querystring: scrubQuerySchema, response: { 202: scrubStartedSchema } } },
    async (request, reply) => {
      const { mirror = null } = request.query;
      const started = control.scrub(mirror);
      if (started === null) throw nothingToScrub(control, mirror);
      return reply.code(202).send({ mirrors: await started });
    },
  );
}

interface NamedChoice {
  readonly bucket: string;
  readonly key: string;
  readonly version?: string;
  readonly choice: ForceObjectOrder['choice'];
}

/** Throws AdminError for names that no object can have. */
function toObjectOrder({ bucket, key, version = '', choice }: NamedChoice): ForceObjectOrder {
  try {
    return { objectId: makeObjectId(bucket, key, version), choice };
  } catch (cause) {
    throw new AdminError('bad-request', 'No object has this name.', { cause });
  }
}

function addForceRoutes(app: FastifyInstance, control: MirrorSetControl): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get(
    '/force',
    { schema: { querystring: forceQuerySchema, response: { 200: forcePlanSchema } } },
    async (request) => control.planForce(request.query.mirror),
  );
  typed.post(
    '/force',
    { schema: { body: forceBodySchema, response: { 202: forcePlanSchema } } },
    async (request, reply) => {
      const { mirror, words } = request.body;
      return reply.code(202).send(await control.force(mirror, words));
    },
  );
  typed.get(
    '/force/object',
    { schema: { querystring: forceObjectQuerySchema, response: { 200: forceObjectPlanSchema } } },
    async ({ query }) => control.planForceObject(toObjectOrder(query)),
  );
  typed.post(
    '/force/object',
    { schema: { body: forceObjectBodySchema, response: { 200: forceObjectPlanSchema } } },
    async ({ body }) => control.forceObject(toObjectOrder(body), body.words),
  );
}
