/** One gateway service: the mirror set's writer, with its S3 endpoint and its admin API. */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { AdminToken } from '../admin/access.js';
import { createAdminServer } from '../admin/admin-server.js';
import { S3Figures, type S3FiguresSource } from '../admin/s3-figures.js';
import type { CertificateExpiry } from '../metrics/certificate-metrics.js';
import type { PlacedSets } from '../gateway/placement/placed-sets.js';
import { InvariantViolation } from '../protocol/invariant.js';
import type { MasterKeys } from '../s3/encryption/master-keys.js';
import type { ServerTls } from '../tls/node-server.js';
import type { TlsSource } from '../tls/watched-tls.js';
import { type Address, formatAddress, localUrl } from './address.js';
import type { Configuration } from './configuration.js';
import { readMarker } from './data-folder.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { FolderInUse, FolderSocket, joinHolder } from './folder-socket.js';
import { listenAt } from './listen-at.js';
import { makeAccessLog, makeAuditLog, makeAuditNote, makeLogger } from './logging.js';
import { openMirrorSets } from './mirror-sets.js';
import { ServiceTls } from './open-tls.js';
import { OperationalError } from './operational-error.js';
import { makePrivateFolder } from './private-files.js';
import { findConsole, makeObjectBrowser, readAdminDocument } from './console-wiring.js';
import { announceReady } from './ready-line.js';
import { S3Keyring } from './s3-keyring.js';
import { makeS3Endpoint, observeRequests } from './s3-wiring.js';
import { readAdminTokens, readMasterKeys } from './secrets.js';
import { closeWithin, liveAsService, type RunningService, type ServiceContext } from './service-life.js';
import { ServiceTracing } from './service-tracing.js';
import { readSoftwareVersion } from './software-version.js';
import { fileError, listenError } from './system-error.js';
import { ServiceSecrets } from './watched-secrets.js';
import { WorkerPool } from './workers/worker-pool.js';
import { runWorker } from './workers/run-worker.js';
import cluster from 'node:cluster';
import { ADMIN_DRAIN_MS, GATEWAY_END_MS, PREDECESSOR_POLL_MS, PREDECESSOR_WAIT_MS } from './timeouts.js';

const SERVICE_NAME = 'gateway';
const TRACED_AS = { name: 'tally-gateway', instance: SERVICE_NAME };
/** How soon workers hear that the gateway was asked to stop. */
const STOPPING_TOLD_EVERY_MS = 100;

interface GatewaySecrets {
  readonly watched: ServiceSecrets;
  readonly adminTokens: () => readonly AdminToken[];
  readonly masterKeys: MasterKeys | null;
}

export async function runGateway(configuration: Configuration): Promise<ExitCode> {
  if (cluster.isWorker) return runWorker(configuration);
  const logger = makeLogger(SERVICE_NAME, configuration);
  const secrets = await openSecrets(configuration, logger);
  const setId = await findSetId(configuration);
  const keyring = await S3Keyring.open({ configuration, setId, logger });
  return liveAsService({
    logger,
    delayMs: configuration.shutdown.delayMs,
    stopWithinMs: configuration.shutdown.drainMs + GATEWAY_END_MS,
    start: (context) => startGateway({ configuration, secrets, keyring, setId }, context),
  });
}

async function openSecrets(configuration: Configuration, logger: Logger): Promise<GatewaySecrets> {
  const { admin, metricsToken } = configuration;
  const watched = new ServiceSecrets({ logger, audit: makeAuditNote(SERVICE_NAME, configuration) });
  const adminTokens = await watched.watch({
    what: 'the tokens of the admin API',
    sources: [admin.token, ...admin.furtherTokens.map(({ secret }) => secret), metricsToken],
    read: () => readAdminTokens(configuration),
    describe: (before, after) => ({
      changed: after
        .filter(({ name, token }) => before.find((other) => other.name === name)?.token !== token)
        .map(({ name }) => name),
    }),
  });
  return { watched, adminTokens, masterKeys: await readMasterKeys(configuration) };
}

async function findSetId({ mirrorSet, dataFolder }: Configuration): Promise<string> {
  const setId = mirrorSet.id ?? (await readMarker(dataFolder))?.setId;
  if (setId !== undefined) return setId;
  throw new OperationalError(
    'set-id-missing',
    EXIT.configuration,
    'The mirror set has no name: give mirrorSet.id or TALLY_SET_ID, the one that the stores were formatted with.',
  );
}

interface GatewayStart {
  readonly configuration: Configuration;
  readonly secrets: GatewaySecrets;
  readonly keyring: S3Keyring;
  readonly setId: string;
}

async function startGateway(start: GatewayStart, context: ServiceContext): Promise<RunningService> {
  const { configuration } = start;
  const folder = dirname(configuration.gateway.authorityFile);
  const tls = new ServiceTls(context.logger);
  const s3Tls = await tls.serve(configuration.tls.s3, 'the S3 endpoint');
  const adminTls = await tls.serve(configuration.tls.admin, 'the admin API');
  const osdTls = await tls.watch(configuration.tls.osdClient, 'calls to OSDs');
  const lock = await lockAuthority(folder);
  const endpoint =
    configuration.gateway.workers > 1
      ? await startWorkers(start, context, osdTls)
      : await startAlone(start, context, { s3Tls, osdTls });
  const { sets, figures } = endpoint;
  const admin = makeAdminServer(sets, start, context, {
    figures,
    certificates: () => tls.certificates(),
    tls: adminTls,
    s3Tls: s3Tls?.source ?? null,
  });
  try {
    await endpoint.listen(() =>
      listen(admin, { address: configuration.admin.listen, what: 'The admin API', isTls: adminTls !== null }),
    );
  } catch (error) {
    await Promise.all([endpoint.stopServing(0), admin.close()]);
    await sets.stop();
    await endpoint.end();
    await lock.close();
    throw error;
  }
  const url = localUrl(configuration.s3.listen, s3Tls !== null);
  const adminUrl = localUrl(configuration.admin.listen, adminTls !== null);
  start.keyring.watch();
  context.logger.info({ url, adminUrl }, 'the gateway is listening');
  const upSocket = join(configuration.dataFolder, 'up.sock');
  const membership = await joinHolder(upSocket, { name: SERVICE_NAME, url }, context.requestStop);
  announceReady({
    name: SERVICE_NAME,
    url,
    detail: `admin API ${adminUrl}`,
    joined: membership?.holder ?? null,
  });
  return {
    stop: async () => {
      await start.keyring.stop();
      await endpoint.stopServing(configuration.shutdown.drainMs);
      await sets.stop();
      await endpoint.end();
      await closeWithin(admin, ADMIN_DRAIN_MS);
      await lock.close();
      await tls.stop();
      await start.secrets.watched.stop();
      membership?.leave();
    },
  };
}

/** The S3 endpoint, wherever it is served. */
interface Endpoint {
  readonly sets: PlacedSets;
  readonly figures: S3FiguresSource;
  /** Together with the admin API. */
  listen(listenAdmin: () => Promise<void>): Promise<void>;
  /** No request gets in; those that are served have so long to end. */
  stopServing(drainMs: number): Promise<void>;
  /** When the mirror sets have stopped. */
  end(): Promise<void>;
}

async function startAlone(
  { configuration, secrets, keyring, setId }: GatewayStart,
  context: ServiceContext,
  { s3Tls, osdTls }: { readonly s3Tls: ServerTls | null; readonly osdTls: TlsSource | null },
): Promise<Endpoint> {
  const tracing = await ServiceTracing.open(configuration, TRACED_AS, context.logger);
  const sets = await openMirrorSets(configuration, setId, context, {
    secrets: secrets.watched,
    tls: osdTls,
    tracing,
  });
  const figures = new S3Figures();
  const accessLog = makeAccessLog(SERVICE_NAME, configuration);
  const s3 = makeS3Endpoint({
    ...{ configuration, keyring, context, tracing, tls: s3Tls },
    storage: sets.storage,
    masterKeys: secrets.masterKeys,
    observer: observeRequests(figures, [accessLog, tracing]),
  });
  return {
    sets,
    figures,
    listen: async (listenAdmin) => {
      await listen(s3, {
        address: configuration.s3.listen,
        what: 'The S3 endpoint',
        isTls: s3Tls !== null,
      });
      await listenAdmin();
    },
    stopServing: async (drainMs) => {
      await closeWithin(s3, drainMs);
      await accessLog?.close();
    },
    end: async () => tracing?.stop(),
  };
}

/** The endpoint is served by other processes. This one holds the authority, directs them, and has the admin API. */
async function startWorkers(
  { configuration, secrets, setId }: GatewayStart,
  context: ServiceContext,
  tls: TlsSource | null,
): Promise<Endpoint> {
  const { logger, onFatal, isStopping } = context;
  const count = configuration.gateway.workers;
  let pool: WorkerPool | null = null;
  const sets = await openMirrorSets(configuration, setId, context, {
    secrets: secrets.watched,
    tls,
    // Requests are served by the workers, and traced there.
    tracing: null,
    makeFleet: (generator) => (pool = new WorkerPool({ count, generator, setId, logger, onFatal })).fleet,
  });
  const workers = poolOf(pool);
  const telling = setInterval(() => {
    if (isStopping()) workers.noteStopping();
  }, STOPPING_TOLD_EVERY_MS);
  return {
    sets,
    figures: workers.figures,
    // Processes take a while to start, and operators want to see what is waited for.
    listen: async (listenAdmin) => {
      await listenAdmin();
      await workers.start();
    },
    stopServing: (drainMs) => workers.stopServing(drainMs),
    end: async () => {
      clearInterval(telling);
      await workers.end();
    },
  };
}

/** Two gateways never use one authority. The one that was killed a moment ago may need a moment to go. */
async function lockAuthority(folder: string): Promise<FolderSocket> {
  try {
    await makePrivateFolder(folder);
  } catch (error) {
    throw fileError(error, 'The folder of the synchronization authority,', folder);
  }
  const startMs = performance.now();
  const nobody = { joined: () => undefined, left: () => undefined };
  for (;;) {
    try {
      return await FolderSocket.acquire(join(folder, 'gateway.sock'), 'tally gateway', nobody);
    } catch (error) {
      if (!(error instanceof FolderInUse))
        throw fileError(error, 'The folder of the synchronization authority,', folder);
      if (performance.now() - startMs > PREDECESSOR_WAIT_MS) throw error;
      await sleep(PREDECESSOR_POLL_MS);
    }
  }
}

interface AdminParts {
  readonly figures: S3FiguresSource;
  readonly certificates: () => Iterable<CertificateExpiry>;
  readonly tls: ServerTls | null;
  /** What the S3 endpoint shows. */
  readonly s3Tls: TlsSource | null;
}

function makeAdminServer(
  sets: PlacedSets,
  start: GatewayStart,
  context: ServiceContext,
  { figures, certificates, tls, s3Tls }: AdminParts,
): FastifyInstance {
  return createAdminServer({
    sets: { controls: sets.gateways, moveProgress: () => sets.moveProgress },
    tokens: start.secrets.adminTokens,
    figures,
    certificates,
    browser: makeObjectBrowser(start.configuration, () => start.keyring.all, s3Tls),
    consoleFolder: findConsole(),
    document: readAdminDocument(),
    tls,
    audit: makeAuditLog(SERVICE_NAME, start.configuration),
    logger: context.logger,
    clock: Date.now,
    softwareVersion: readSoftwareVersion(),
    isStopping: context.isStopping,
    onInvariantViolation: context.onFatal,
  });
}

async function listen(
  server: FastifyInstance,
  { address, what, isTls }: { readonly address: Address; readonly what: string; readonly isTls: boolean },
): Promise<void> {
  try {
    await server.listen(listenAt(address, what, isTls));
  } catch (error) {
    throw listenError(error, what, formatAddress(address));
  }
}

function poolOf(pool: WorkerPool | null): WorkerPool {
  if (pool === null) throw new InvariantViolation('the mirror set of a gateway with workers has a fleet');
  return pool;
}
