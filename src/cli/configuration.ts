/**
 * The configuration of a command: defaults, then one YAML file, then the environment, then flags; the later wins.
 *
 * Secrets are named here but not read: `secrets.ts` reads them when they are needed.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { WritesMode } from '../protocol/forwarding.js';
import type { CopyPace } from '../protocol/pace.js';
import type { ScrubSettings } from '../gateway/scrub-schedule.js';
import { TAG_TABLE_ROWS_MAX_DEFAULT } from '../gateway/tag-table-limit.js';
import type { PlainHttpRule } from '../s3/encryption/customer-key.js';
import type { SetName } from '../protocol/placement.js';
import { WRITERS_MAX } from '../protocol/shard.js';
import { type Address, addressOfUrl, localUrl, parseAddress } from './address.js';
import { checked, ConfigurationFault, fail, type SettingPath } from './configuration-fault.js';
import {
  configurationFault,
  hasSetting,
  placeOfSetting,
  readConfigurationFile,
} from './configuration-file.js';
import { mergeLayers } from './configuration-layers.js';
import type { ConfigurationLayer, LOG_LEVELS } from './configuration-schema.js';
import {
  credentialsSource,
  type CredentialsSource,
  furtherAdminTokens,
  type FurtherAdminToken,
  type FurtherKey,
  metricsToken,
  type SecretFile,
  secretSource,
  type SecretSource,
  toFurtherKeys,
} from './configured-secrets.js';
import { configuredSets, type FurtherSet, type MemberSettings } from './configured-sets.js';
import { readEnvironment } from './environment.js';
import { type TlsSettings, tlsSettings } from './tls-settings.js';

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Configuration {
  readonly dataFolder: string;
  readonly mirrorSet: {
    /** Null: the one in the data folder's marker. */
    readonly id: string | null;
    readonly secret: SecretSource;
    readonly members: readonly MemberSettings[];
  };
  readonly furtherSets: readonly FurtherSet[];
  /** Buckets that live on one set. */
  readonly pins: ReadonlyMap<string, SetName>;
  readonly gateway: {
    readonly authorityFile: string;
    readonly reconcilesByItself: boolean;
    readonly suspendsWrites: boolean;
    readonly writes: WritesMode;
    readonly tagTableRowsMax: number;
    /** Processes that serve the S3 endpoint and write; 1: the gateway itself. */
    readonly workers: number;
    readonly scrub: ScrubSettings;
    readonly catchUpPace: Omit<CopyPace, 'isPaused'>;
  };
  readonly s3: {
    readonly listen: Address;
    readonly region: string;
    readonly domains: readonly string[];
    readonly lifecycleDayMs: number;
    readonly masterKeys: SecretFile;
    readonly customerKeysOverHttp: PlainHttpRule;
    /** Where clients find the endpoint; null: at the port above of the host that they call. */
    readonly url: string | null;
  };
  readonly admin: {
    readonly listen: Address;
    readonly url: string;
    /** What the commands show; it operates. */
    readonly token: SecretSource;
    readonly furtherTokens: readonly FurtherAdminToken[];
  };
  readonly credentials: CredentialsSource;
  readonly furtherKeys: readonly FurtherKey[];
  /** What `tally user` keeps. */
  readonly keysFile: SecretFile;
  readonly osd: {
    readonly name: string | null;
    readonly listen: Address | null;
    readonly store: string | null;
  };
  /** Null: nothing is traced. */
  readonly tracing: { readonly endpoint: string; readonly sampleRatio: number } | null;
  readonly shutdown: { readonly delayMs: number; readonly drainMs: number };
  readonly tls: TlsSettings;
  readonly log: { readonly level: LogLevel; readonly folder: string | null; readonly hasAccessLog: boolean };
  /** Null: metrics have no token of their own. */
  readonly metricsToken: SecretSource | null;
}

export const DEFAULT_DATA_FOLDER = 'data';
const DEFAULT_S3_LISTEN = '127.0.0.1:9000';
const DEFAULT_ADMIN_LISTEN = '127.0.0.1:9001';
const DAY_SECONDS = 24 * 60 * 60;
const DEFAULT_REGION = 'us-east-1';

const HOUR_MS = 60 * 60 * 1000;
const SCRUB_EVERY_HOURS_DEFAULT = 168;
const SCRUB_MEBIBYTES_PER_SECOND_DEFAULT = 16;
const MEBIBYTE = 1024 * 1024;

function scrubSettings(gateway: ConfigurationLayer['gateway']): ScrubSettings {
  const everyHours = gateway?.scrubEveryHours ?? SCRUB_EVERY_HOURS_DEFAULT;
  return {
    intervalMs: everyHours === 0 ? null : everyHours * HOUR_MS,
    bytesPerSecond: Math.ceil(
      (gateway?.scrubMebibytesPerSecond ?? SCRUB_MEBIBYTES_PER_SECOND_DEFAULT) * MEBIBYTE,
    ),
  };
}

/** Without a limit in bytes a fast disk is used, and clients still have half of the time for themselves. */
const CATCH_UP_SHARE_PERCENT_DEFAULT = 50;
const NO_LIMIT = 0;

function catchUpPace(gateway: ConfigurationLayer['gateway']): Omit<CopyPace, 'isPaused'> {
  const mebibytesPerSecond = gateway?.catchUpMebibytesPerSecond ?? NO_LIMIT;
  return {
    bytesPerSecond: mebibytesPerSecond === NO_LIMIT ? null : mebibytesPerSecond * MEBIBYTE,
    sharePercent: gateway?.catchUpSharePercent ?? CATCH_UP_SHARE_PERCENT_DEFAULT,
  };
}

const DRAIN_SECONDS_DEFAULT = 8;

const WORKERS: SettingPath = ['gateway', 'workers'];

/** Throws OperationalError. */
function workerCount(gateway: ConfigurationLayer['gateway'], furtherSets: number): number {
  const wanted = gateway?.workers ?? 1;
  const count = wanted === 0 ? Math.min(availableParallelism(), WRITERS_MAX) : wanted;
  if (count > 1 && furtherSets > 0) {
    fail(
      `gateway.workers: ${count} workers serve one mirror set, and here are ${furtherSets + 1}. Take 1 worker.`,
      WORKERS,
    );
  }
  if (count > 1 && gateway?.writes === 'forwarded') {
    fail(
      `gateway.workers: ${count} workers issue their own tags, and gateway.writes has an OSD do it. Take 1 worker, or direct writes.`,
      WORKERS,
    );
  }
  return count;
}

/** Fills in the defaults and checks what a schema can't. Throws OperationalError. */
export function resolveConfiguration(layer: ConfigurationLayer): Configuration {
  const dataFolder = resolve(layer.data ?? DEFAULT_DATA_FOLDER);
  const secrets = join(dataFolder, 'secrets');
  const { mirrorSet, gateway, s3, admin, osd, log } = layer;
  const adminListen = checked(() => parseAddress(admin?.listen ?? DEFAULT_ADMIN_LISTEN), ['admin', 'listen']);
  const osdListen = osd?.listen;
  const sets = configuredSets(layer, join(secrets, 'osd-secret'));
  return {
    dataFolder,
    mirrorSet: { id: mirrorSet?.id ?? null, ...sets.first },
    furtherSets: sets.further,
    pins: sets.pins,
    gateway: {
      authorityFile: gateway?.authority ?? join(dataFolder, 'authority', 'state.json'),
      reconcilesByItself: gateway?.reconcilesByItself ?? true,
      catchUpPace: catchUpPace(gateway),
      scrub: scrubSettings(gateway),
      suspendsWrites: gateway?.suspendsWrites ?? false,
      writes: gateway?.writes ?? 'direct',
      tagTableRowsMax: gateway?.tagTableRowsMax ?? TAG_TABLE_ROWS_MAX_DEFAULT,
      workers: workerCount(gateway, sets.further.length),
    },
    s3: {
      listen: checked(() => parseAddress(s3?.listen ?? DEFAULT_S3_LISTEN), ['s3', 'listen']),
      region: s3?.region ?? DEFAULT_REGION,
      domains: s3?.domains ?? [],
      masterKeys: {
        kind: 'file',
        path: s3?.masterKeyFile ?? join(secrets, 'master-keys'),
        isDefault: s3?.masterKeyFile === undefined,
      },
      customerKeysOverHttp: s3?.customerKeysOverHttp ?? 'loopback',
      url: s3?.url ?? null,
      lifecycleDayMs: (s3?.lifecycleDaySeconds ?? DAY_SECONDS) * 1000,
    },
    admin: {
      listen: adminListen,
      url: admin?.url ?? localUrl(adminListen, admin?.tls !== undefined),
      token: secretSource(admin?.token, admin?.tokenFile, join(secrets, 'admin-token'), ['admin', 'token']),
      furtherTokens: furtherAdminTokens(layer),
    },
    credentials: credentialsSource(layer, join(secrets, 'credentials')),
    furtherKeys: toFurtherKeys(layer.credentials?.keys ?? [], 'credentials.keys'),
    keysFile: {
      kind: 'file',
      path: layer.credentials?.keysFile ?? join(secrets, 'keys.yaml'),
      isDefault: layer.credentials?.keysFile === undefined,
    },
    osd: {
      name: osd?.name ?? null,
      listen: osdListen === undefined ? null : checked(() => parseAddress(osdListen), ['osd', 'listen']),
      store: osd?.store ?? null,
    },
    tracing:
      layer.tracing?.endpoint === undefined
        ? null
        : { endpoint: layer.tracing.endpoint, sampleRatio: layer.tracing.sampleRatio ?? 1 },
    shutdown: {
      delayMs: (layer.shutdown?.delaySeconds ?? 0) * 1000,
      drainMs: (layer.shutdown?.drainSeconds ?? DRAIN_SECONDS_DEFAULT) * 1000,
    },
    tls: tlsSettings(layer),
    log: {
      level: log?.level ?? 'info',
      folder: log?.folder ?? null,
      hasAccessLog: log?.access ?? false,
    },
    metricsToken: metricsToken(layer),
  };
}

/** What a running `tally up` says of itself to the other commands. */
export function runFileOf(dataFolder: string): string {
  return join(dataFolder, 'run.yaml');
}

export interface ConfigurationRequest {
  /** The file that was asked for by flag. */
  readonly file: string | null;
  readonly flags: ConfigurationLayer;
  readonly environment: NodeJS.ProcessEnv;
  /** Without a file of its own, a command looks at what `tally up` wrote into the data folder. */
  readonly usesRunFile: boolean;
}

/** All layers but the defaults. Throws OperationalError. */
export async function loadLayers(request: ConfigurationRequest): Promise<ConfigurationLayer> {
  const environment = readEnvironment(request.environment);
  const above = mergeLayers(environment, request.flags);
  const fault = configurationFault(above);
  if (fault !== null) fail(`Environment or flags: ${fault}.`, []);
  const file = request.file ?? request.environment['TALLY_CONFIG'] ?? null;
  if (file !== null) return readOver(file, above);
  const runFile = runFileOf(resolve(above.data ?? DEFAULT_DATA_FOLDER));
  if (request.usesRunFile && existsSync(runFile)) return readOver(runFile, above);
  return above;
}

/** The file with what goes over it. What makes no sense and stands in the file is told with its line. */
async function readOver(file: string, above: ConfigurationLayer): Promise<ConfigurationLayer> {
  const layer = mergeLayers(await readConfigurationFile(file), above);
  try {
    resolveConfiguration(layer);
  } catch (error) {
    if (!(error instanceof ConfigurationFault) || hasSetting(above, error.setting)) throw error;
    const place = await placeOfSetting(file, error.setting);
    if (place === null) throw error;
    throw new ConfigurationFault(`${place}: ${error.message}`, error.setting, { cause: error });
  }
  return layer;
}

/** Throws OperationalError. */
export async function loadConfiguration(request: ConfigurationRequest): Promise<Configuration> {
  return resolveConfiguration(await loadLayers(request));
}

/** Where the OSD of a member of the set listens. Throws OperationalError. */
export function memberAddress({ mirror, url }: MemberSettings): Address {
  return checked(() => addressOfUrl(url), [], `the URL of ${mirror}`);
}

/** The member with this URL, null when there is none. */
export function memberAtUrl(configuration: Configuration, url: string): MemberSettings | null {
  return allMembers(configuration).find((member) => member.url === url) ?? null;
}

/** The members of all mirror sets. */
export function allMembers({ mirrorSet, furtherSets }: Configuration): readonly MemberSettings[] {
  return [mirrorSet, ...furtherSets].flatMap(({ members }) => members);
}

/** The set that an OSD is a member of; its id is null where the data folder's marker has it. Null: no set has such a member. */
export function setOfMember(
  { mirrorSet, furtherSets }: Configuration,
  name: string,
): { readonly id: string | null; readonly secret: SecretSource; readonly member: MemberSettings } | null {
  for (const { id, secret, members } of [mirrorSet, ...furtherSets]) {
    const member = members.find(({ mirror }) => mirror === name);
    if (member !== undefined) return { id, secret, member };
  }
  return null;
}
