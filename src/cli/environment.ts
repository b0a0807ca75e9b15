/** The environment's part of the configuration. */
import { resolve } from 'node:path';
import { WRITES_MODES } from '../protocol/forwarding.js';
import { WRITERS_MAX } from '../protocol/shard.js';
import { type ConfigurationLayer, LOG_LEVELS } from './configuration-schema.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

/** Every variable that Tally reads, with what `tally --help` says of it. */
export const ENVIRONMENT_VARIABLES = {
  TALLY_CONFIG: 'configuration file',
  TALLY_DATA: 'data folder',
  TALLY_SET_ID: 'name of the mirror set',
  TALLY_SET_SECRET: 'shared secret of gateway and OSDs',
  TALLY_SET_SECRET_FILE: 'file with that secret',
  TALLY_SET_CA_FILE: 'PEM: authorities of the certificates of OSDs with https:// URLs',
  TALLY_SET_CERT_FILE: 'PEM: certificate to show to OSDs',
  TALLY_SET_KEY_FILE: 'PEM: its key',
  TALLY_MEMBERS:
    'members of the mirror set: osd-0=http://host:port,osd-1=http://host:port+unix:/path/to/osd-1.sock',
  TALLY_S3_LISTEN: 'host:port of the S3 endpoint',
  TALLY_S3_CERT_FILE: 'PEM: certificate of the S3 endpoint, which then speaks TLS',
  TALLY_S3_KEY_FILE: 'PEM: its key',
  TALLY_REGION: 'region of the S3 endpoint',
  TALLY_MASTER_KEY_FILE: 'file with the keys that objects are encrypted by (SSE-S3)',
  TALLY_ACCESS_KEY: 'S3 access key',
  TALLY_SECRET_KEY: 'S3 secret key',
  TALLY_CREDENTIALS_FILE: 'file with both, in the format of ~/.aws/credentials',
  TALLY_KEYS_FILE: 'file with the keys of "tally user"',
  TALLY_ADMIN_LISTEN: 'host:port of the admin API',
  TALLY_ADMIN_CERT_FILE: 'PEM: certificate of the admin API, which then speaks TLS',
  TALLY_ADMIN_KEY_FILE: 'PEM: its key',
  TALLY_ADMIN_CA_FILE: 'PEM: authorities that status and the like trust there',
  TALLY_ADMIN_URL: 'where status and reconcile find the admin API',
  TALLY_ADMIN_TOKEN: 'bearer token of the admin API',
  TALLY_ADMIN_TOKEN_FILE: 'file with that token',
  TALLY_ADMIN_READ_TOKEN: 'bearer token of the admin API that may look, and change nothing',
  TALLY_ADMIN_READ_TOKEN_FILE: 'file with that token',
  TALLY_AUTHORITY_FILE: "file with the synchronization authority's state",
  TALLY_SUSPENDS_WRITES: 'true: writes wait while a mirror is reconciled, from beginning to end',
  TALLY_WRITES:
    'direct: the gateway sends each write to every mirror; forwarded: to one OSD, which sends it on',
  TALLY_WORKERS: 'processes that serve the S3 endpoint; 0: one for each core (default: 1)',
  TALLY_OSD_NAME: 'which member of the set this OSD is',
  TALLY_OSD_LISTEN: 'host:port of this OSD',
  TALLY_OSD_CERT_FILE: 'PEM: certificate of this OSD, which then speaks TLS',
  TALLY_OSD_KEY_FILE: 'PEM: its key',
  TALLY_OSD_CLIENT_CA_FILE: 'PEM: whoever calls this OSD must show a certificate of these authorities',
  TALLY_OSD_STORE: "folder of this OSD's store",
  TALLY_TRACING_ENDPOINT: 'where traces go (OTLP over HTTP), such as http://127.0.0.1:4318',
  TALLY_SHUTDOWN_DELAY_SECONDS:
    'so long after SIGTERM it serves on, and says that it is not ready (default: 0)',
  TALLY_LOG_LEVEL: 'trace, debug, info, warn, error or fatal',
  TALLY_LOG_FOLDER: 'folder of the logs; otherwise they go to standard error',
  TALLY_METRICS_TOKEN: 'bearer token that opens /metrics and nothing else',
  TALLY_METRICS_TOKEN_FILE: 'file with that token',
} as const;

type Variable = keyof typeof ENVIRONMENT_VARIABLES;

function fail(message: string): never {
  throw new OperationalError('bad-configuration', EXIT.configuration, message);
}

interface GivenMember {
  readonly name: string;
  readonly url: string;
  readonly socket?: string;
}

/** `osd-0=http://a:1,osd-1=http://b:2+unix:/run/osd-1.sock`. Throws OperationalError. */
export function parseMembers(text: string, source: string): GivenMember[] {
  return text.split(',').map((item) => {
    const [, name, url, socket] = /^\s*([^=\s]+)=(\S+?)(?:\+unix:(\S+))?\s*$/.exec(item) ?? [];
    if (name === undefined || url === undefined) return fail(`${source}: name=url is needed, not "${item}".`);
    return socket === undefined ? { name, url } : { name, url, socket: resolve(socket) };
  });
}

/** Leaves out what is undefined. */
function defined<Section extends object>(section: {
  [Name in keyof Section]: Section[Name] | undefined;
}): Section {
  return Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined)) as Section;
}

/** Throws OperationalError. */
export function readEnvironment(environment: NodeJS.ProcessEnv): ConfigurationLayer {
  const read = (variable: Variable): string | undefined => {
    const value = environment[variable];
    return value === '' ? undefined : value;
  };
  const path = (variable: Variable): string | undefined => {
    const value = read(variable);
    return value === undefined ? undefined : resolve(value);
  };
  const readFlag = (variable: Variable): boolean | undefined => {
    const value = read(variable);
    if (value === undefined) return undefined;
    if (value !== 'true' && value !== 'false') fail(`${variable} must be true or false.`);
    return value === 'true';
  };
  const readNumber = (variable: Variable): number | undefined => {
    const value = read(variable);
    if (value === undefined) return undefined;
    if (!/^\d+(\.\d+)?$/.test(value)) fail(`${variable} must be a number.`);
    return Number(value);
  };
  const readWorkers = (): number | undefined => {
    const value = readNumber('TALLY_WORKERS');
    if (value !== undefined && (!Number.isInteger(value) || value > WRITERS_MAX))
      fail(`TALLY_WORKERS must be a number from 0 to ${WRITERS_MAX}.`);
    return value;
  };
  const identity = (cert: Variable, key: Variable): { certFile: string; keyFile: string } | undefined => {
    const certFile = path(cert);
    const keyFile = path(key);
    if (certFile === undefined && keyFile === undefined) return undefined;
    if (certFile === undefined || keyFile === undefined) return fail(`Give both ${cert} and ${key}.`);
    return { certFile, keyFile };
  };
  const osdTls = () => {
    const files = identity('TALLY_OSD_CERT_FILE', 'TALLY_OSD_KEY_FILE');
    const clientCaFile = path('TALLY_OSD_CLIENT_CA_FILE');
    if (clientCaFile === undefined) return files;
    return files === undefined ? fail('Give TALLY_OSD_CERT_FILE, too.') : { ...files, clientCaFile };
  };
  const members = read('TALLY_MEMBERS');
  const levelText = read('TALLY_LOG_LEVEL');
  const level = LOG_LEVELS.find((candidate) => candidate === levelText);
  if (levelText !== undefined && level === undefined)
    fail(`TALLY_LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}.`);
  const writesText = read('TALLY_WRITES');
  const writes = WRITES_MODES.find((candidate) => candidate === writesText);
  if (writesText !== undefined && writes === undefined)
    fail(`TALLY_WRITES must be one of ${WRITES_MODES.join(', ')}.`);
  return defined<ConfigurationLayer>({
    data: path('TALLY_DATA'),
    mirrorSet: defined<NonNullable<ConfigurationLayer['mirrorSet']>>({
      id: read('TALLY_SET_ID'),
      secret: read('TALLY_SET_SECRET'),
      secretFile: path('TALLY_SET_SECRET_FILE'),
      members: members === undefined ? undefined : parseMembers(members, 'TALLY_MEMBERS'),
      caFile: path('TALLY_SET_CA_FILE'),
      certFile: path('TALLY_SET_CERT_FILE'),
      keyFile: path('TALLY_SET_KEY_FILE'),
    }),
    gateway: defined<NonNullable<ConfigurationLayer['gateway']>>({
      authority: path('TALLY_AUTHORITY_FILE'),
      reconcilesByItself: undefined,
      suspendsWrites: readFlag('TALLY_SUSPENDS_WRITES'),
      writes,
      workers: readWorkers(),
    }),
    s3: defined<NonNullable<ConfigurationLayer['s3']>>({
      listen: read('TALLY_S3_LISTEN'),
      region: read('TALLY_REGION'),
      masterKeyFile: path('TALLY_MASTER_KEY_FILE'),
      tls: identity('TALLY_S3_CERT_FILE', 'TALLY_S3_KEY_FILE'),
    }),
    admin: defined<NonNullable<ConfigurationLayer['admin']>>({
      listen: read('TALLY_ADMIN_LISTEN'),
      url: read('TALLY_ADMIN_URL'),
      token: read('TALLY_ADMIN_TOKEN'),
      tokenFile: path('TALLY_ADMIN_TOKEN_FILE'),
      readToken: read('TALLY_ADMIN_READ_TOKEN'),
      readTokenFile: path('TALLY_ADMIN_READ_TOKEN_FILE'),
      tls: identity('TALLY_ADMIN_CERT_FILE', 'TALLY_ADMIN_KEY_FILE'),
      caFile: path('TALLY_ADMIN_CA_FILE'),
    }),
    credentials: defined<NonNullable<ConfigurationLayer['credentials']>>({
      accessKey: read('TALLY_ACCESS_KEY'),
      secretKey: read('TALLY_SECRET_KEY'),
      file: path('TALLY_CREDENTIALS_FILE'),
      keysFile: path('TALLY_KEYS_FILE'),
    }),
    osd: defined<NonNullable<ConfigurationLayer['osd']>>({
      name: read('TALLY_OSD_NAME'),
      listen: read('TALLY_OSD_LISTEN'),
      store: path('TALLY_OSD_STORE'),
      tls: osdTls(),
    }),
    tracing: defined<NonNullable<ConfigurationLayer['tracing']>>({
      endpoint: read('TALLY_TRACING_ENDPOINT'),
    }),
    shutdown: defined<NonNullable<ConfigurationLayer['shutdown']>>({
      delaySeconds: readNumber('TALLY_SHUTDOWN_DELAY_SECONDS'),
    }),
    log: defined<NonNullable<ConfigurationLayer['log']>>({
      level,
      folder: path('TALLY_LOG_FOLDER'),
      access: undefined,
    }),
    metrics: defined<NonNullable<ConfigurationLayer['metrics']>>({
      token: read('TALLY_METRICS_TOKEN'),
      tokenFile: path('TALLY_METRICS_TOKEN_FILE'),
    }),
  });
}
