/** One OSD service: opens its store (and never formats one), listens, waits. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OsdFigures } from '../osd/osd-figures.js';
import { DoorBlocked } from '../osd/local-door.js';
import type { DiskSpace } from '../osd/osd-metrics.js';
import { createOsdServer } from '../osd/osd-server.js';
import { openStore } from '../store/disk-object-store.js';
import { type ObjectStore, StoreError } from '../store/object-store.js';
import type { SetSecrets } from '../wire/contract.js';
import { HttpOsdConnection } from '../wire/http-osd-connection.js';
import { formatAddress, localUrl } from './address.js';
import { type Configuration, setOfMember, memberAtUrl } from './configuration.js';
import { makeFreeBytes } from './engine.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { joinHolder } from './folder-socket.js';
import { listenAt } from './listen-at.js';
import { makeAuditNote, makeLogger } from './logging.js';
import { ServiceTls } from './open-tls.js';
import { OperationalError } from './operational-error.js';
import { announceReady } from './ready-line.js';
import { type OsdPlace, placeOfOsd } from './osd-place.js';
import { readMetricsToken } from './secrets.js';
import { closeWithin, liveAsService, type RunningService, type ServiceContext } from './service-life.js';
import { ServiceTracing } from './service-tracing.js';
import { readSoftwareVersion } from './software-version.js';
import { listenError } from './system-error.js';
import { OSD_END_MS, OSD_TIMEOUTS, PREDECESSOR_POLL_MS, PREDECESSOR_WAIT_MS } from './timeouts.js';
import { ServiceSecrets } from './watched-secrets.js';

export async function runOsd(configuration: Configuration): Promise<ExitCode> {
  const place = placeOfOsd(configuration);
  const set = setOfMember(configuration, place.name) ?? configuration.mirrorSet;
  const logger = makeLogger(place.name, configuration);
  const secrets = new ServiceSecrets({ logger, audit: makeAuditNote(place.name, configuration) });
  const secret = await secrets.watchSetSecret(set.secret);
  const metricsToken = await watchMetricsToken(configuration, secrets);
  return liveAsService({
    logger,
    delayMs: configuration.shutdown.delayMs,
    stopWithinMs: configuration.shutdown.drainMs + OSD_END_MS,
    start: (context) => startOsd({ configuration, place, secrets, secret, metricsToken }, context),
  });
}

interface OsdStart {
  readonly configuration: Configuration;
  readonly place: OsdPlace;
  readonly secrets: ServiceSecrets;
  readonly secret: SetSecrets;
  readonly metricsToken: SetSecrets | null;
}

async function startOsd(start: OsdStart, context: ServiceContext): Promise<RunningService> {
  const { place, secrets, secret, metricsToken, configuration } = start;
  const { logger, onFatal, requestStop } = context;
  const figures = new OsdFigures();
  const tls = new ServiceTls(logger);
  const serverTls = await tls.serve(configuration.tls.osd, place.name);
  const clientTls = await tls.watch(configuration.tls.osdClient, 'calls to OSDs');
  const store = await openPatiently(place, figures, context);
  const tracing = await ServiceTracing.open(
    configuration,
    { name: 'tally-osd', instance: place.name },
    logger,
  );
  const server = createOsdServer({
    trace: tracing?.osdTrace ?? null,
    store,
    secret,
    metricsToken,
    figures,
    certificates: () => tls.certificates(),
    diskSpace: () => diskSpaceOf(place.storeFolder),
    incarnation: randomUUID(),
    softwareVersion: readSoftwareVersion(),
    clock: Date.now,
    logger,
    tls: serverTls,
    socketPath: place.socketPath,
    connect: (url) => {
      const member = memberAtUrl(configuration, url);
      return new HttpOsdConnection({
        ...{ url, secret, timeouts: OSD_TIMEOUTS, tls: clientTls },
        socketPath: member?.socketPath ?? null,
        trace: tracing?.connectionTrace(member?.mirror ?? url) ?? null,
      });
    },
    isStopping: context.isStopping,
    freeBytes: makeFreeBytes(),
    onInvariantViolation: onFatal,
  });
  try {
    await server.listen(listenAt(place.listen, place.name, serverTls !== null));
  } catch (error) {
    await server.close();
    await store.close();
    if (error instanceof DoorBlocked) throw socketBlocked(error, place.name);
    throw listenError(error, place.name, formatAddress(place.listen));
  }
  const url = localUrl(place.listen, serverTls !== null);
  const { socketPath } = place;
  logger.info({ url, socketPath, store: place.storeFolder }, 'the OSD is listening');
  const upSocket = join(configuration.dataFolder, 'up.sock');
  const membership = await joinHolder(upSocket, { name: place.name, url }, requestStop);
  announceReady({
    name: place.name,
    url,
    detail: `store ${place.storeFolder}`,
    joined: membership?.holder ?? null,
  });
  return {
    stop: async () => {
      await closeWithin(server, configuration.shutdown.drainMs);
      await store.close();
      await tracing?.stop();
      await tls.stop();
      await secrets.stop();
      membership?.leave();
    },
  };
}

async function watchMetricsToken(
  configuration: Configuration,
  secrets: ServiceSecrets,
): Promise<SetSecrets | null> {
  if (configuration.metricsToken === null) return null;
  return secrets.watch({
    what: 'the token of the metrics',
    sources: [configuration.metricsToken],
    read: async () => [(await readMetricsToken(configuration)) ?? ''] as const,
  });
}

/** The process that had the store before may need a moment to let go of it. */
async function openPatiently(
  { storeFolder, name }: OsdPlace,
  observer: OsdFigures,
  { logger }: ServiceContext,
): Promise<ObjectStore> {
  const startMs = performance.now();
  if (!existsSync(storeFolder)) throw noStore(storeFolder, name);
  for (;;) {
    try {
      return await openStore(storeFolder, { logger, observer });
    } catch (error) {
      const isInUse = error instanceof StoreError && error.code === 'in-use';
      if (!isInUse || performance.now() - startMs > PREDECESSOR_WAIT_MS) throw error;
      await sleep(PREDECESSOR_POLL_MS);
    }
  }
}

/** Null when the file system does not say. */
async function diskSpaceOf(folder: string): Promise<DiskSpace | null> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return null;
  }
}

function noStore(storeFolder: string, name: string): OperationalError {
  return new OperationalError(
    'no-store',
    EXIT.storage,
    `There is no store in ${storeFolder}. If its disk was replaced, make a new one there with "tally format --name ${name} --store ${storeFolder}": it is copied in full once it runs.`,
  );
}

function socketBlocked(error: DoorBlocked, name: string): OperationalError {
  return new OperationalError(
    'socket-taken',
    EXIT.unavailable,
    `The socket of ${name} can't be made: ${error.message}. Stop what uses it, or choose another path.`,
    { cause: error },
  );
}
