/**
 * The S3 server: a fastify instance that is not listening yet.
 *
 * fastify listens, logs and closes, and routes nothing: every request goes from the node server below it to one handler, since
 * S3 needs the request target as it came (fastify answers 400 to `%ff`, and 415 to a Content-Type it can't read), and its way through
 * fastify costs a third of what node itself takes for it (bench/README.md). Bodies are passed through unparsed. Whatever
 * goes wrong, on whatever path, becomes S3's XML in `errorResponse`.
 */
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { ObjectStorage } from '../gateway/object-storage.js';
import type { InvariantViolation } from '../protocol/invariant.js';
import type { ServerTls } from '../tls/node-server.js';
import { AuthorizationParser } from './auth/authorization-header.js';
import type { CredentialStore } from './auth/credentials.js';
import { SigningKeys } from './auth/signing-key.js';
import { BucketDirectory } from './buckets.js';
import type { EncryptionSettings } from './encryption/encryption-wish.js';
import { S3Handler } from './handler.js';
import { type AroundRequest, makeHttpServer } from './http-server.js';
import { DAY_MS } from './lifecycle/rules.js';
import { LifecycleWorker } from './lifecycle/worker.js';
import { DEFAULT_S3_LIMITS, type S3Limits } from './limits.js';
import { UploadDirectory } from './multipart/upload-directory.js';
import { UploadSweeper } from './multipart/upload-sweeper.js';
import { OperationDetector } from './operations/detect.js';
import { Renames } from './renames.js';
import { RequestIds } from './request-ids.js';
import type { RequestObserver } from './request-observer.js';
import { makeOwnLocks, type S3Locks } from './shared-lock.js';
import { VersionedObjects } from './versions/versioned-objects.js';

export interface S3ServerOptions {
  readonly storage: ObjectStorage;
  readonly credentials: CredentialStore;
  /** What clients must have in their credential scope. */
  readonly region?: string;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Names of this endpoint; a bucket may then be addressed as `bucket.name`. Path style always works. */
  readonly domains?: readonly string[];
  readonly logger?: FastifyBaseLogger;
  /** Default: plain HTTP. */
  readonly tls?: ServerTls | null;
  readonly limits?: Partial<S3Limits>;
  /** How long a day of a lifecycle rule is; only tests want another one. */
  readonly lifecycleDayMs?: number;
  readonly observer?: RequestObserver;
  /** Default: no master keys, and customers' keys over plain HTTP from this machine only. */
  readonly encryption?: Partial<EncryptionSettings>;
  /** Default: this is the only process that serves the endpoint. */
  readonly locks?: S3Locks;
  /** False: another process of the endpoint does what is done in rounds (uploads and renames cut short, lifecycle rules). */
  readonly isHousekeeper?: boolean;
  /** Give one to be able to invalidate it. */
  readonly buckets?: BucketDirectory;
  /** Called around each request, so that what is done for it can be followed. Default: nothing is. */
  readonly around?: AroundRequest | null;
  /** True from the moment at which it was asked to stop, which may be long before `close()`: answers then end their connections. */
  readonly isStopping?: () => boolean;
  /** Gives back the memory of what came from a client and is with the mirrors. Default: the collector does. */
  readonly freeBytes?: (bytes: Buffer) => void;
  /** Told of our own bugs, after they are logged; must stop the process. By default the process is made to crash. */
  readonly onInvariantViolation?: (violation: InvariantViolation) => void;
}

const DEFAULT_REGION = 'us-east-1';

function crash(violation: InvariantViolation): void {
  setImmediate(() => {
    throw violation;
  });
}

/** Builds the server. It owns no timers or connections until it listens; `close()` drains and stops it. */
export function createS3Server(options: S3ServerOptions): FastifyInstance {
  const { storage, credentials, region = DEFAULT_REGION, clock = Date.now, isHousekeeper = true } = options;
  const limits: S3Limits = { ...DEFAULT_S3_LIMITS, ...options.limits };
  const locks = options.locks ?? makeOwnLocks();
  const buckets = options.buckets ?? new BucketDirectory(storage, limits.bucketCacheMax, locks.buckets);
  const uploads = new UploadDirectory(storage, locks.uploads);
  const versions = new VersionedObjects(storage, locks.versions);
  const renames = new Renames({
    storage,
    buckets,
    locks: locks.renames,
    intervalMs: limits.renameSweepIntervalMs,
    onFailure: (error) => {
      app.log.warn({ err: error }, 'finishing renames that were cut short was interrupted');
    },
    onInvariantViolation: options.onInvariantViolation ?? crash,
  });
  const ids = new RequestIds();
  const handler = new S3Handler({
    dispatch: {
      services: {
        storage,
        buckets,
        uploads,
        versions,
        renames,
        accounts: credentials.accounts,
        encryption: { masterKeys: null, customerKeysOverHttp: 'loopback', ...options.encryption },
        region,
        limits,
        clock,
        freeBytes: options.freeBytes,
      },
      authentication: {
        credentials,
        signingKeys: new SigningKeys(),
        authorizations: new AuthorizationParser(region),
        region,
        limits,
        clock,
      },
      detector: new OperationDetector(),
    },
    limits,
    domains: (options.domains ?? []).map((domain) => domain.toLowerCase()),
    ids,
    logger: () => app.log,
    observer: options.observer ?? null,
    isStopping: options.isStopping ?? (() => false),
    onInvariantViolation: options.onInvariantViolation ?? crash,
  });
  const app: FastifyInstance = fastify({
    ...(options.logger !== undefined && { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    serverFactory: () =>
      makeHttpServer(handler, limits, { tls: options.tls ?? null, around: options.around ?? null }),
    // makeHttpServer listens for these, on every address.
    clientErrorHandler: () => undefined,
  });
  const sweeper = new UploadSweeper({
    storage,
    buckets,
    uploads,
    limits,
    clock,
    onFailure: (error) => {
      app.log.warn({ err: error }, 'sweeping multipart uploads was interrupted');
    },
    onInvariantViolation: options.onInvariantViolation ?? crash,
  });
  app.addHook('onListen', (done) => {
    sweeper.start(isHousekeeper);
    done();
  });
  app.addHook('onClose', () => sweeper.stop());
  app.addHook('onListen', (done) => {
    if (isHousekeeper) renames.start();
    done();
  });
  app.addHook('onClose', () => renames.stop());
  const lifecycle = new LifecycleWorker({
    storage,
    buckets,
    versions,
    uploads,
    clock,
    dayMs: options.lifecycleDayMs ?? DAY_MS,
    onFailure: (error) => {
      app.log.warn({ err: error }, 'a round of lifecycle rules was interrupted');
    },
    onInvariantViolation: options.onInvariantViolation ?? crash,
  });
  app.addHook('onListen', (done) => {
    if (isHousekeeper) lifecycle.start();
    done();
  });
  app.addHook('onClose', () => lifecycle.stop());
  app.addHook('preClose', (done) => {
    handler.beginClosing();
    done();
  });
  return app;
}
