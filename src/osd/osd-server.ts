/**
 * The OSD service: fastify routes around a `LocalOsd`, and a short way for the few requests that are most of the traffic
 * (hot-requests.ts). Nothing listens yet when it is made.
 *
 * What it guarantees:
 * - Every request but those for the health of the process needs the set's secret; it is asked for before a body is read.
 * - Every error leaves as JSON { code, message } with a code of `wire/error-codes.ts`.
 * - Every body, header, connection and idle time has a limit of `limits.ts` or `wire/contract.ts`.
 * - `close()` lets requests in flight finish, refuses new ones as `closing`, cancels a reconciliation. The store stays open:
 *   it is its owner's to close.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { CertificateExpiry } from '../metrics/certificate-metrics.js';
import type { InvariantViolation } from '../protocol/invariant.js';
import type { ObjectStore } from '../store/object-store.js';
import { makeNodeServer, type ServerTls } from '../tls/node-server.js';
import { CONTRACT, type ContractRange } from '../wire/contract-version.js';
import {
  HEADER_CONTRACT,
  MEDIA_BYTES,
  MEDIA_FRAME,
  MEDIA_JSON,
  MEDIA_TRANSACTIONS,
  OSD_PATHS,
  OSD_PATHS_WITHOUT_SECRET,
  SERVER_KEEP_ALIVE_MS,
  type SetSecrets,
} from '../wire/contract.js';
import type { OsdConnection } from '../wire/osd-connection.js';
import { makeAuthenticator } from './authentication.js';
import { CallersContract } from './callers-contract.js';
import { addReadRoutes, addWriteRoutes, hotRequests } from './content-routes.js';
import { ErrorResponder, respondToClientError } from './error-responses.js';
import { addHotRoutes, ShortWay } from './hot-requests.js';
import { DEFAULT_OSD_LIMITS, type OsdLimits } from './limits.js';
import { LocalDoor } from './local-door.js';
import { LocalOsd } from './local-osd.js';
import { OsdFigures } from './osd-figures.js';
import { type DiskSpace, makeOsdMetrics } from './osd-metrics.js';
import {
  addFenceRoutes,
  addListingRoutes,
  addRepairRoutes,
  addWriterRoutes,
  sendJson,
} from './osd-routes.js';
import type { OsdTrace } from './osd-trace.js';
import { refusal } from './refusal.js';

export interface OsdServerOptions {
  readonly store: ObjectStore;
  /** Shared by all of the mirror set: 16 to 256 characters of visible ASCII. */
  readonly secret: SetSecrets;
  /** Reads the metrics, and nothing else. Without one they need the secret. */
  readonly metricsToken?: SetSecrets | null;
  /** Given to the store as its observer. */
  readonly figures?: OsdFigures;
  /** For metrics. */
  readonly diskSpace?: () => Promise<DiskSpace | null>;
  /** For metrics. */
  readonly certificates?: () => Iterable<CertificateExpiry>;
  /** Names this run of the OSD process: random, new at every start. */
  readonly incarnation: string;
  readonly softwareVersion: string;
  readonly logger: FastifyBaseLogger;
  /** Default: what this build speaks. */
  readonly contract?: ContractRange;
  /** Default: plain HTTP. */
  readonly tls?: ServerTls | null;
  /** A unix socket to listen on as well (local-door.ts); not together with TLS. Default: none. */
  readonly socketPath?: string | null;
  /** Unix time in ms. */
  readonly clock: () => number;
  readonly limits?: Partial<OsdLimits>;
  /** True from the moment at which it was asked to stop, which may be long before `close()`: it serves on, and is not ready. */
  readonly isStopping?: () => boolean;
  /** Gives back the memory of bytes that nobody uses any more. Default: the collector does. */
  readonly freeBytes?: (bytes: Buffer) => void;
  /** Default: nobody follows anything. */
  readonly trace?: OsdTrace | null;
  /** Connects to a peer OSD of a reconciliation. */
  readonly connect: (url: string) => OsdConnection;
  /** Our bug: stops the process. Called after the log has it. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

/** Requests that carry neither a frame nor a page. */
const SMALL_REQUEST_BYTES_MAX = 64 * 1024;
const STAGE_ID_LENGTH_MAX = 1024;

/** Throws RangeError for a secret that is too short or no visible ASCII, and for a socket beside TLS. */
export function createOsdServer(options: OsdServerOptions): FastifyInstance {
  const limits: OsdLimits = { ...DEFAULT_OSD_LIMITS, ...options.limits };
  const { store, incarnation, softwareVersion, logger, clock, connect, isStopping = () => false } = options;
  if (options.tls && options.socketPath) throw new RangeError('a unix socket has no TLS');
  const responder = new ErrorResponder(options);
  const app = makeApp(options, limits, responder, (message, response) => shortWay.take(message, response));
  const osd = new LocalOsd({
    ...{ store, incarnation, softwareVersion, logger, clock, connect, limits },
    trace: options.trace ?? null,
    processId: process.pid,
    onInvariantViolation: (violation) => void responder.refusalOf(violation),
  });
  let isDraining = false;

  const endsConnections = (): boolean => isDraining || isStopping();
  const ending: Ending = { isDraining: () => isDraining, endsConnections };
  const contract = new CallersContract(options.contract ?? CONTRACT, logger);
  const { trace = null } = options;
  const requests = hotRequests(osd, responder, trace);
  const shortWay = new ShortWay({
    ...{ requests, responder, contract, ...ending },
    isAuthentic: makeAuthenticator(options.secret),
  });
  guard(app, options, contract, ending);
  app.setErrorHandler((error, _request, reply) => responder.respond(error, reply));
  app.setNotFoundHandler((_request, reply) =>
    responder.respond(refusal('no-such-route', 'there is no such route'), reply),
  );
  app.get(OSD_PATHS.live, (_request, reply) => sendJson(reply, { status: 'live' }));
  app.get(OSD_PATHS.ready, (_request, reply) => {
    const fault = endsConnections() ? 'it is closing' : osd.faultOfReadiness();
    if (fault === null) return sendJson(reply, { status: 'ready' });
    return sendJson(reply.code(503), { status: 'not-ready', reason: fault });
  });
  const metrics = makeOsdMetrics({
    ...{ store, softwareVersion, clock },
    figures: options.figures ?? new OsdFigures(),
    oldestRowMs: async () => (await osd.identity()).oldestRowMs,
    progress: () => osd.latestProgress,
    stageCount: () => osd.stageCount,
    writers: () => osd.writersReport,
    care: async () => (await osd.identity()).care,
    certificates: options.certificates ?? (() => []),
    diskSpace: options.diskSpace ?? (async () => null),
  });
  app.get(OSD_PATHS.metrics, async (_request, reply) => {
    const { contentType, text } = await metrics.render();
    return reply.type(contentType).send(text);
  });
  addFenceRoutes(app, osd);
  addWriterRoutes(app, osd);
  addListingRoutes(app, osd, trace);
  addRepairRoutes(app, osd);
  addHotRoutes(app, requests);
  const { freeBytes = () => undefined } = options;
  addWriteRoutes(app, osd, { trace, freeBytes });
  addReadRoutes(app, osd, { responder, endsConnections, trace });

  const { socketPath = null } = options;
  let door: LocalDoor | null = null;
  app.addHook('onReady', async () => {
    if (socketPath !== null) door = await LocalDoor.open(socketPath, app.server, limits.connectionsMax);
  });
  app.addHook('preClose', async () => {
    isDraining = true;
    door?.shut();
  });
  app.addHook('onClose', () => osd.close());
  app.addHook('onClose', () => door?.close());
  return app;
}

function makeApp(
  { logger, tls = null }: OsdServerOptions,
  limits: OsdLimits,
  responder: ErrorResponder,
  /** False: the request is fastify's. */
  takesShortWay: (message: IncomingMessage, response: ServerResponse) => boolean,
): FastifyInstance {
  const app: FastifyInstance = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    bodyLimit: SMALL_REQUEST_BYTES_MAX,
    routerOptions: { maxParamLength: STAGE_ID_LENGTH_MAX },
    serverFactory: (listener) =>
      makeServer(
        (message, response) => {
          if (!takesShortWay(message, response)) listener(message, response);
        },
        limits,
        tls,
      ),
    // Requests are not logged one by one, so they need no logger of their own either.
    childLoggerFactory: (parent) => parent,
    clientErrorHandler: respondToClientError,
    frameworkErrors: (error, _request, reply) => {
      void responder.respond(error, reply);
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    [MEDIA_JSON, MEDIA_FRAME, MEDIA_TRANSACTIONS],
    { parseAs: 'buffer' },
    (_request, body, done) => {
      done(null, body);
    },
  );
  app.addContentTypeParser(MEDIA_BYTES, (_request, payload, done) => {
    done(null, payload);
  });
  return app;
}

function makeServer(listener: RequestListener, limits: OsdLimits, tls: ServerTls | null): Server {
  const server = makeNodeServer(
    listener,
    {
      maxHeaderSize: limits.requestHeaderBytesMax,
      headersTimeout: limits.requestHeadersMs,
      connectionsCheckingInterval: limits.requestHeadersMs,
      keepAliveTimeout: SERVER_KEEP_ALIVE_MS,
      // Bodies have a limit on their pauses, and none on the whole time.
      requestTimeout: 0,
    },
    tls,
  );
  server.setTimeout(limits.connectionIdleMs);
  server.maxConnections = limits.connectionsMax;
  return server;
}

interface Ending {
  /** Nobody is let in any more. */
  readonly isDraining: () => boolean;
  /** Answers end their connections. */
  readonly endsConnections: () => boolean;
}

/** Lets in who has the secret and speaks the contract, and nobody while the server drains. */
function guard(
  app: FastifyInstance,
  { secret, metricsToken = null }: OsdServerOptions,
  contract: CallersContract,
  { isDraining, endsConnections }: Ending,
): void {
  const isAuthentic = makeAuthenticator(secret);
  const mayReadMetrics = metricsToken === null ? isAuthentic : makeAuthenticator(metricsToken);
  app.addHook('onRequest', (request, reply, done) => {
    if (endsConnections()) void reply.header('connection', 'close');
    const { url } = request.routeOptions;
    if (url !== undefined && OSD_PATHS_WITHOUT_SECRET.includes(url)) done();
    else if (url === OSD_PATHS.metrics && mayReadMetrics(request.headers.authorization)) done();
    else if (!isAuthentic(request.headers.authorization)) {
      done(refusal('unauthorized', "the mirror set's secret is needed"));
    } else {
      void reply.header(HEADER_CONTRACT, contract.headerText);
      contract.refuseUnlessSpoken(request.headers[HEADER_CONTRACT]);
      if (isDraining()) done(refusal('closing', 'the OSD is closing'));
      else done();
    }
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (endsConnections()) void reply.header('connection', 'close');
    done();
  });
}
