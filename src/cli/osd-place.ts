/** Which OSD a command is about. */
import { join } from 'node:path';
import type { Address } from './address.js';
import { allMembers, type Configuration, memberAddress, setOfMember } from './configuration.js';
import type { MemberSettings } from './configured-sets.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';

export interface OsdPlace {
  readonly name: string;
  readonly storeFolder: string;
  readonly listen: Address;
  /** Where it listens besides, for callers on this machine; null: nowhere. */
  readonly socketPath: string | null;
}

/** Which OSD this is, where its store lies and where it listens. Throws OperationalError. */
export function placeOfOsd(configuration: Configuration): OsdPlace {
  const { osd, dataFolder } = configuration;
  const names = allMembers(configuration)
    .map(({ mirror }) => mirror)
    .join(', ');
  const { name } = osd;
  if (name === null) {
    throw new OperationalError(
      'osd-name-missing',
      EXIT.usage,
      `Say which OSD this is with --name: one of ${names}.`,
    );
  }
  const member = setOfMember(configuration, name)?.member;
  const listen = osd.listen ?? (member === undefined ? null : memberAddress(member));
  if (listen === null) {
    throw new OperationalError(
      'no-such-member',
      EXIT.configuration,
      `${name} is no member of the mirror set (${names}); give --listen to start it all the same.`,
    );
  }
  if (osd.listen === null && member !== undefined) requireSameProtocol(configuration, member);
  const socketPath = member?.socketPath ?? null;
  return { name, storeFolder: osd.store ?? join(dataFolder, name), listen, socketPath };
}

/** Where something else ends TLS, or begins it, the OSD has an address of its own (osd.listen). */
function requireSameProtocol({ tls }: Configuration, { mirror, url }: MemberSettings): void {
  const isSecure = url.startsWith('https://');
  if (isSecure === (tls.osd !== null)) return;
  throw new OperationalError(
    'tls-mismatch',
    EXIT.configuration,
    isSecure
      ? `The URL of ${mirror} is ${url}: give its certificate with osd.tls.`
      : `${mirror} has a certificate (osd.tls), but its URL is ${url}: make that https://.`,
  );
}
