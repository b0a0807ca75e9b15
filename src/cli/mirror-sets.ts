/** Opens the mirror sets that a gateway serves: their connections, authorities and placement. */
import { dirname, join } from 'node:path';
import { AuthorityFile } from '../gateway/authority-storage.js';
import { Gateway } from '../gateway/gateway.js';
import type { WorkerFleet } from '../gateway/workers/worker-fleet.js';
import { PlacementFile } from '../gateway/placement/placement-file.js';
import { PlacedSets } from '../gateway/placement/placed-sets.js';
import { VerificationFile } from '../gateway/verification/verification-storage.js';
import { defaultTimings } from '../gateway/timings.js';
import { type SetName, toSetName } from '../protocol/placement.js';
import { PlacementRefused } from '../protocol/placement-record.js';
import type { TlsSource } from '../tls/watched-tls.js';
import type { GeneratorId } from '../protocol/tag.js';
import type { SetSecrets } from '../wire/contract.js';
import { HttpOsdConnection } from '../wire/http-osd-connection.js';
import type { Configuration } from './configuration.js';
import type { MemberSettings } from './configured-sets.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import type { ServiceContext } from './service-life.js';
import type { ServiceTracing } from './service-tracing.js';
import { OSD_TIMEOUTS } from './timeouts.js';
import type { ServiceSecrets } from './watched-secrets.js';

interface SetToOpen {
  readonly secret: SetSecrets;
  readonly members: readonly MemberSettings[];
  readonly authorityFile: string;
  readonly isDraining: boolean;
}

export interface SetConnections {
  readonly secrets: ServiceSecrets;
  /** To the OSDs. */
  readonly tls: TlsSource | null;
  readonly tracing: ServiceTracing | null;
  /** For the only set, when other processes write to it. Its generator is given. */
  readonly makeFleet?: (generator: GeneratorId) => WorkerFleet;
}

/** `setId` names the first set. Throws OperationalError. */
export async function openMirrorSets(
  configuration: Configuration,
  setId: string,
  context: ServiceContext,
  { secrets, tls, tracing, makeFleet }: SetConnections,
): Promise<PlacedSets> {
  const sets = await readSets(configuration, setId, secrets);
  const { gateway, pins } = configuration;
  const { logger } = context;
  const startSet = (set: SetName, generator: GeneratorId): Promise<Gateway> => {
    const { secret, members, authorityFile } = sets.get(set) ?? unknownSet(set);
    return Gateway.start({
      setId: set,
      members: members.map(({ mirror, url, socketPath }) => ({
        mirror,
        connection: new HttpOsdConnection({
          ...{ url, socketPath, secret, timeouts: OSD_TIMEOUTS, tls },
          trace: tracing?.connectionTrace(mirror) ?? null,
        }),
      })),
      generator,
      ...(makeFleet !== undefined && { fleet: makeFleet(generator) }),
      authority: new AuthorityFile(authorityFile),
      verificationRecord: new VerificationFile(`${authorityFile}.verification`),
      timings: defaultTimings,
      reconcilesByItself: gateway.reconcilesByItself,
      suspendsWrites: gateway.suspendsWrites,
      writes: gateway.writes,
      tagTableRowsMax: gateway.tagTableRowsMax,
      scrub: gateway.scrub,
      catchUpPace: gateway.catchUpPace,
      logger,
      clock: Date.now,
      onFatal: context.onFatal,
    });
  };
  const filled = [...sets].filter(([, { isDraining }]) => !isDraining).map(([set]) => set);
  try {
    return await PlacedSets.start({
      configured: [...sets.keys()],
      placement: { sets: filled, pins },
      record: new PlacementFile(join(dirname(gateway.authorityFile), 'placement.json')),
      startSet,
      logger,
    });
  } catch (error) {
    if (!(error instanceof PlacementRefused)) throw error;
    throw new OperationalError(error.code, EXIT.configuration, error.message, { cause: error });
  }
}

function unknownSet(set: SetName): never {
  throw new RangeError(`no mirror set ${set}`);
}

async function readSets(
  configuration: Configuration,
  setId: string,
  secrets: ServiceSecrets,
): Promise<Map<SetName, SetToOpen>> {
  const { mirrorSet, furtherSets, gateway } = configuration;
  const folder = dirname(gateway.authorityFile);
  const sets = new Map<SetName, SetToOpen>();
  sets.set(toSetName(setId), {
    secret: await secrets.watchSetSecret(mirrorSet.secret),
    members: mirrorSet.members,
    authorityFile: gateway.authorityFile,
    isDraining: false,
  });
  for (const { id, secret, members, isDraining } of furtherSets) {
    sets.set(id, {
      secret: await secrets.watchSetSecret(secret),
      members,
      authorityFile: join(folder, `${id}.json`),
      isDraining,
    });
  }
  return sets;
}
