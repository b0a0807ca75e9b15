/**
 * One worker of a gateway: the S3 endpoint, which it shares with the others, and the writer of its shard of the objects.
 *
 * It lives and dies with the process that has started it, which alone is asked to stop: signals are passed over here.
 */
import { dirname } from 'node:path';
import { S3Figures } from '../../admin/s3-figures.js';
import { GatewayWorker } from '../../gateway/workers/worker.js';
import { Peer } from '../../gateway/workers/peer.js';
import { WorkerLocks } from '../../gateway/workers/worker-locks.js';
import { defaultTimings } from '../../gateway/timings.js';
import { type S3Locks, SharedLocks } from '../../s3/shared-lock.js';
import { HttpOsdConnection } from '../../wire/http-osd-connection.js';
import { formatAddress } from '../address.js';
import type { Configuration } from '../configuration.js';
import { setUpEngine, settleHeap } from '../engine.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { explainError } from '../explain-error.js';
import { listenAt } from '../listen-at.js';
import { makeAccessLog, makeAuditNote, makeLogger } from '../logging.js';
import { ServiceTls } from '../open-tls.js';
import { makeS3Endpoint, observeRequests } from '../s3-wiring.js';
import { S3Keyring } from '../s3-keyring.js';
import { readMasterKeys } from '../secrets.js';
import { closeWithin, type ServiceContext } from '../service-life.js';
import { ServiceTracing } from '../service-tracing.js';
import { listenError } from '../system-error.js';
import { OSD_TIMEOUTS } from '../timeouts.js';
import { ServiceSecrets } from '../watched-secrets.js';
import { readBuildIdentity } from './build-identity.js';
import { ProcessChannel } from './process-channel.js';
import type { FailedNote, PlaceBody, PlaceReply } from './worker-messages.js';
import { WorkerMesh } from './worker-mesh.js';

const SERVICE_NAME = 'gateway';
const FIGURES_EVERY_MS = 1000;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Resolves when it was told to end. */
export async function runWorker(configuration: Configuration): Promise<ExitCode> {
  setUpEngine();
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  const gateway = new Peer('the gateway', new ProcessChannel(process));
  // Whatever there was to save is with the OSDs.
  gateway.onGone(() => process.exit(EXIT.unavailable));
  const ended = new Promise<void>((resolve) => {
    gateway.serve('end', () => {
      resolve();
    });
  });
  try {
    await serve(configuration, gateway);
    settleHeap();
  } catch (error) {
    const { code, exitCode, message } = explainError(error);
    gateway.note('failed', { code, exitCode, message } satisfies FailedNote);
    return exitCode;
  }
  await ended;
  return EXIT.ok;
}

function endNow(logger: ServiceContext['logger']): (error: unknown) => never {
  return (error) => {
    const { message, exitCode } = explainError(error);
    logger.fatal({ err: error }, message);
    process.stderr.write(`${message}\n`);
    process.exit(exitCode);
  };
}

async function serve(configuration: Configuration, gateway: Peer): Promise<void> {
  let isStopping = false;
  let stopServing: (drainMs: number) => Promise<void> = async () => undefined;
  gateway.serve('stopping', () => {
    isStopping = true;
  });
  gateway.serve<number>('stop-serving', (drainMs) => stopServing(drainMs));
  const place = await gateway.call<PlaceReply>('place', { build: readBuildIdentity() } satisfies PlaceBody);
  const { index, setId } = place;
  const logger = makeLogger(`${SERVICE_NAME}-worker-${index}`, configuration);
  const onFatal = endNow(logger);
  process.on('uncaughtException', onFatal);
  process.on('unhandledRejection', onFatal);
  const context = { logger, onFatal, isStopping: () => isStopping };

  const tls = new ServiceTls(logger);
  const s3Tls = await tls.serve(configuration.tls.s3, 'the S3 endpoint');
  const osdTls = await tls.watch(configuration.tls.osdClient, 'calls to OSDs');
  const service = { name: 'tally-gateway', instance: `worker-${index}` };
  const tracing = await ServiceTracing.open(configuration, service, logger);
  const secrets = new ServiceSecrets({
    logger,
    audit: makeAuditNote(`${SERVICE_NAME}-worker-${index}`, configuration),
  });
  const secret = await secrets.watchSetSecret(configuration.mirrorSet.secret);
  const members = configuration.mirrorSet.members.map(({ mirror, url, socketPath }) => ({
    mirror,
    connection: new HttpOsdConnection({
      ...{ url, socketPath, secret, timeouts: OSD_TIMEOUTS, tls: osdTls },
      trace: tracing?.connectionTrace(mirror) ?? null,
    }),
  }));
  const { gateWaitMs, readLeaseMs } = defaultTimings;
  const options = { setId, members, logger, gateWaitMs, readLeaseMs };
  const worker = new GatewayWorker(place, options, gateway, place.state);
  const workerLocks = new WorkerLocks(worker);
  const keyring = await S3Keyring.open({ configuration, setId, logger });
  const figures = new S3Figures();
  const accessLog = makeAccessLog(SERVICE_NAME, configuration);
  const s3 = makeS3Endpoint({
    ...{ configuration, keyring, context, tracing, tls: s3Tls },
    storage: worker.storage,
    masterKeys: await readMasterKeys(configuration),
    observer: observeRequests(figures, [accessLog, tracing]),
    amongOthers: { locks: makeLocks(workerLocks), isHousekeeper: index === 0 },
  });
  const mesh = new WorkerMesh({
    folder: dirname(configuration.gateway.authorityFile),
    worker,
    locks: workerLocks,
    trace: tracing?.peerTrace ?? null,
  });
  await mesh.join();
  const address = configuration.s3.listen;
  try {
    await s3.listen(listenAt(address, 'The S3 endpoint', s3Tls !== null));
  } catch (error) {
    throw listenError(error, 'The S3 endpoint', formatAddress(address));
  }
  // Whoever comes now waits until the mirror set is active, which it is not before this.
  await gateway.call('joined', null);
  const telling = setInterval(() => {
    gateway.note('figures', figures.snapshot());
    worker.tellFigures();
  }, FIGURES_EVERY_MS);
  keyring.watch();
  stopServing = async (drainMs) => {
    await keyring.stop();
    await closeWithin(s3, drainMs);
    await accessLog?.close();
    await tracing?.stop();
    clearInterval(telling);
    await secrets.stop();
    mesh.close();
  };
  logger.info({ index }, 'the worker is listening');
  gateway.note('listening', null);
}

function makeLocks(locks: WorkerLocks): S3Locks {
  return {
    buckets: locks.spread('buckets', new SharedLocks()),
    uploads: locks.spread('uploads', new SharedLocks()),
    versions: locks.homed('versions', new SharedLocks()),
    renames: locks.homed('renames', new SharedLocks()),
  };
}
