/** Command line flags as the topmost layer of the configuration. */
import { resolve } from 'node:path';
import { WRITERS_MAX } from '../protocol/shard.js';
import { type ConfigurationLayer, LOG_LEVELS } from './configuration-schema.js';
import { loopbackMembers } from './configured-sets.js';
import { parseMembers } from './environment.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

/** What commander hands over; each command has some of these. */
export interface Flags {
  readonly data?: string;
  readonly config?: string;
  readonly s3Port?: string;
  readonly adminPort?: string;
  readonly osdPorts?: string;
  readonly s3Listen?: string;
  readonly adminListen?: string;
  readonly listen?: string;
  readonly name?: string;
  readonly store?: string;
  readonly set?: string;
  readonly mirrorSet?: string;
  readonly members?: string;
  readonly authority?: string;
  readonly workers?: string;
  readonly adminUrl?: string;
  readonly adminTokenFile?: string;
  readonly logLevel?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

const LOOPBACK = '127.0.0.1';
const PORT_MAX = 65_535;

function usage(message: string): never {
  throw new OperationalError('usage', EXIT.usage, message);
}

function port(text: string, flag: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > PORT_MAX)
    usage(`${flag} needs a port from 1 to ${PORT_MAX}, not "${text}".`);
  return value;
}

function workers(text: string): number {
  const value = text === 'auto' ? 0 : Number(text);
  if (!Number.isInteger(value) || value < 0 || value > WRITERS_MAX)
    usage(`--workers needs a number from 1 to ${WRITERS_MAX}, or "auto", not "${text}".`);
  return value;
}

function listenFlag(
  listen: string | undefined,
  portText: string | undefined,
  flag: string,
): string | undefined {
  if (portText === undefined) return listen;
  return `${LOOPBACK}:${port(portText, flag)}`;
}

/** Throws OperationalError. */
export function layerOfFlags(flags: Flags): ConfigurationLayer {
  const s3Listen = listenFlag(flags.s3Listen, flags.s3Port, '--s3-port');
  const adminListen = listenFlag(flags.adminListen, flags.adminPort, '--admin-port');
  const osdPorts = flags.osdPorts?.split(',').map((text) => port(text.trim(), '--osd-ports'));
  const members =
    osdPorts !== undefined
      ? loopbackMembers(osdPorts)
      : flags.members === undefined
        ? undefined
        : parseMembers(flags.members, '--members');
  const level = LOG_LEVELS.find((candidate) => candidate === flags.logLevel);
  if (flags.logLevel !== undefined && level === undefined)
    usage(`--log-level must be one of ${LOG_LEVELS.join(', ')}.`);
  return {
    ...(flags.data !== undefined && { data: resolve(flags.data) }),
    mirrorSet: {
      ...(flags.set !== undefined && { id: flags.set }),
      ...(members !== undefined && { members }),
    },
    gateway: {
      ...(flags.authority !== undefined && { authority: resolve(flags.authority) }),
      ...(flags.workers !== undefined && { workers: workers(flags.workers) }),
    },
    s3: { ...(s3Listen !== undefined && { listen: s3Listen }) },
    admin: {
      ...(adminListen !== undefined && { listen: adminListen }),
      ...(flags.adminUrl !== undefined && { url: flags.adminUrl }),
      ...(flags.adminTokenFile !== undefined && { tokenFile: resolve(flags.adminTokenFile) }),
    },
    osd: {
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.listen !== undefined && { listen: flags.listen }),
      ...(flags.store !== undefined && { store: resolve(flags.store) }),
    },
    log: { ...(level !== undefined && { level }) },
  };
}
