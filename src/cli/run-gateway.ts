/** One gateway service: the mirror set's writer, with its S3 endpoint and its admin API. */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { AdminToken } from '../admin/access.js';
import { createAdminServer } from '../admin/admin-server.js';
import { S3Figures } from '../admin/s3-figures.js';
import type { CertificateExpiry } from '../metrics/certificate-metrics.js';
import type { ObjectStorage } from '../gateway/object-storage.js';
import type { PlacedSets } from '../gateway/placement/placed-sets.js';
import type { RequestObserver } from '../s3/request-observer.js';
import type { MasterKeys } from '../s3/encryption/master-keys.js';
import { createS3Server } from '../s3/server.js';
import type { ServerTls } from '../tls/node-server.js';
import type { TlsSource } from '../tls/watched-tls.js';
import { type Address, formatAddress, localUrl } from './address.js';
import type { Configuration } from './configuration.js';
import { readMarker } from './data-folder.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { FolderInUse, FolderSocket, joinHolder } from './folder-socket.js';
import { type AccessLog, makeAccessLog, makeAuditLog, makeLogger } from './logging.js';
import { openMirrorSets } from './mirror-sets.js';
import { ServiceTls } from './open-tls.js';
import { OperationalError } from './operational-error.js';
import { makePrivateFolder } from './private-files.js';
import { findConsole, makeObjectBrowser, readAdminDocument } from './console-wiring.js';
import { announceReady } from './ready-line.js';
import { S3Keyring } from './s3-keyring.js';
import { readAdminTokens, readMasterKeys } from './secrets.js';
import { closeWithin, liveAsService, type RunningService, type ServiceContext } from './service-life.js';
import { readSoftwareVersion } from './software-version.js';
import { fileError, listenError } from './system-error.js';
import { ADMIN_DRAIN_MS, GATEWAY_END_MS, PREDECESSOR_POLL_MS, PREDECESSOR_WAIT_MS } from './timeouts.js';

const SERVICE_NAME = 'gateway';

interface GatewaySecrets {
  readonly adminTokens: readonly AdminToken[];
  readonly masterKeys: MasterKeys | null;
}

export async function runGateway(configuration: Configuration): Promise<ExitCode> {
  const secrets: GatewaySecrets = {
    adminTokens: await readAdminTokens(configuration),
    masterKeys: await readMasterKeys(configuration),
  };
  const setId = await findSetId(configuration);
  const logger = makeLogger(SERVICE_NAME, configuration);
  const keyring = await S3Keyring.open({ configuration, setId, logger });
  return liveAsService({
    logger,
    delayMs: configuration.shutdown.delayMs,
    stopWithinMs: configuration.shutdown.drainMs + GATEWAY_END_MS,
    start: (context) => startGateway({ configuration, secrets, keyring, setId }, context),
  });
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
  const sets = await openMirrorSets(configuration, start.setId, context, osdTls);
  const figures = new S3Figures();
  const accessLog = makeAccessLog(SERVICE_NAME, configuration);
  const s3 = makeS3Server(sets.storage, start, context, {
    observer: observeRequests(figures, accessLog),
    tls: s3Tls,
  });
  const admin = makeAdminServer(sets, start, context, {
    figures,
    certificates: () => tls.certificates(),
    tls: adminTls,
    s3Tls: s3Tls?.source ?? null,
  });
  try {
    await listen(s3, configuration.s3.listen, 'The S3 endpoint');
    await listen(admin, configuration.admin.listen, 'The admin API');
  } catch (error) {
    await Promise.all([s3.close(), admin.close()]);
    await sets.stop();
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
      await closeWithin(s3, configuration.shutdown.drainMs);
      await accessLog?.close();
      await sets.stop();
      await closeWithin(admin, ADMIN_DRAIN_MS);
      await lock.close();
      await tls.stop();
      membership?.leave();
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

function observeRequests(figures: S3Figures, accessLog: AccessLog | null): RequestObserver {
  if (accessLog === null) return figures;
  return {
    requestBegan: () => {
      figures.requestBegan();
    },
    requestEnded: (request) => {
      figures.requestEnded(request);
      accessLog.requestEnded(request);
    },
  };
}

function makeS3Server(
  storage: ObjectStorage,
  start: GatewayStart,
  context: ServiceContext,
  { observer, tls }: { readonly observer: RequestObserver; readonly tls: ServerTls | null },
): FastifyInstance {
  const { masterKeys } = start.secrets;
  const { region, domains, lifecycleDayMs, customerKeysOverHttp } = start.configuration.s3;
  return createS3Server({
    storage,
    credentials: start.keyring.store,
    region,
    domains,
    lifecycleDayMs,
    observer,
    tls,
    encryption: { masterKeys, customerKeysOverHttp },
    clock: Date.now,
    logger: context.logger,
    isStopping: context.isStopping,
    onInvariantViolation: context.onFatal,
  });
}

interface AdminParts {
  readonly figures: S3Figures;
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

async function listen(server: FastifyInstance, address: Address, what: string): Promise<void> {
  try {
    await server.listen(address);
  } catch (error) {
    throw listenError(error, what, formatAddress(address));
  }
}
