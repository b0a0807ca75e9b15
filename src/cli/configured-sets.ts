/** The mirror sets of a configuration: who is a member of which, at which URL, and which bucket lives where. What no schema sees is checked here. */
import { type MirrorId, toMirrorId } from '../protocol/authority-state.js';
import { type SetName, toSetName } from '../protocol/placement.js';
import { parseOsdUrl } from '../wire/osd-url.js';
import { checked, fail, type SettingPath } from './configuration-fault.js';
import type { ConfigurationLayer } from './configuration-schema.js';
import { secretSource, type SecretSource } from './configured-secrets.js';

export interface MemberSettings {
  readonly mirror: MirrorId;
  readonly url: string;
  /** A unix socket of its OSD, for callers on its machine; null: it has none. */
  readonly socketPath: string | null;
}

/** A mirror set beside the first one. */
export interface FurtherSet {
  readonly id: SetName;
  readonly secret: SecretSource;
  readonly members: readonly MemberSettings[];
  readonly isDraining: boolean;
}

const DEFAULT_OSD_PORTS: readonly number[] = [9010, 9011];

export function loopbackMembers(ports: readonly number[]): { name: string; url: string }[] {
  return ports.map((port, index) => ({ name: `osd-${index}`, url: `http://127.0.0.1:${port}` }));
}

type GivenMembers = NonNullable<NonNullable<ConfigurationLayer['mirrorSet']>['members']>;

/** Linux: 108 with the NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Whether an OSD of this URL can have this socket; if not, why. */
export function socketFault(url: string, socketPath: string): string | null {
  const isTooLong = Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX;
  if (isTooLong) return `the path of a socket has at most ${SOCKET_PATH_BYTES_MAX} bytes`;
  return url.startsWith('https:') ? 'a socket has no TLS: leave it out, or the https:// of the URL' : null;
}

/** `at`: of the list; `setting`: what people call it. */
function readMembers(given: GivenMembers, at: SettingPath, setting: string): PlacedMember[] {
  return given.map(({ name, url, socket }, index) => {
    const own = [...at, index];
    checked(() => parseOsdUrl(url), [...own, 'url'], `${setting}, ${name}`);
    const fault = socket === undefined ? null : socketFault(url, socket);
    if (fault !== null) fail(`${setting}, ${name}: ${fault}.`, [...own, 'socket']);
    const mirror = checked(() => toMirrorId(name), [...own, 'name'], setting);
    return { member: { mirror, url, socketPath: socket ?? null }, at: own };
  });
}

/** With its place in the configuration. */
interface PlacedMember {
  readonly member: MemberSettings;
  readonly at: SettingPath;
}

interface PlacedSet extends Omit<FurtherSet, 'members'> {
  readonly members: readonly PlacedMember[];
}

function readFurtherSets(layer: ConfigurationLayer, firstSecret: SecretSource): PlacedSet[] {
  const known = new Set<string | undefined>([layer.mirrorSet?.id]);
  return (layer.furtherSets ?? []).map(({ id, secret, secretFile, members, draining }, index): PlacedSet => {
    const own = ['furtherSets', index];
    const isOwn = secret !== undefined || secretFile !== undefined;
    if (known.has(id)) fail(`Two mirror sets have the same id (${id}).`, [...own, 'id']);
    known.add(id);
    return {
      id: checked(() => toSetName(id), [...own, 'id'], 'furtherSets'),
      secret: isOwn ? secretSource(secret, secretFile, '', [...own, 'secret']) : firstSecret,
      members: readMembers(members, [...own, 'members'], `furtherSets, ${id}`),
      isDraining: draining ?? false,
    };
  });
}

/** An OSD is a member of one set, once. */
function requireDistinct(members: readonly PlacedMember[]): void {
  const seen = { name: new Set<string>(), url: new Set<string>(), socket: new Set<string>() };
  for (const { member, at } of members) {
    const { mirror, url, socketPath } = member;
    for (const [field, value] of [
      ['name', mirror],
      ['url', url],
      ['socket', socketPath],
    ] as const) {
      if (value === null) continue;
      if (seen[field].has(value))
        fail(`Two members of the mirror sets have the same ${field} (${value}).`, [...at, field]);
      seen[field].add(value);
    }
  }
}

/** A bucket lives on a set that there is. Where the first set has its name from its data folder, it may be meant. */
function readPins({ pins, mirrorSet, furtherSets = [] }: ConfigurationLayer): ReadonlyMap<string, SetName> {
  const known = [mirrorSet?.id ?? [], ...furtherSets.map(({ id }) => id)].flat();
  const read = new Map<string, SetName>();
  for (const [bucket, set] of Object.entries(pins ?? {})) {
    const at = ['pins', bucket];
    const isKnown = known.includes(set) || mirrorSet?.id === undefined;
    if (!isKnown) fail(`pins, ${bucket}: there is no mirror set ${set}, but ${known.join(', ')}.`, at);
    read.set(
      bucket,
      checked(() => toSetName(set), at, 'pins'),
    );
  }
  return read;
}

export interface ConfiguredSets {
  readonly first: { readonly secret: SecretSource; readonly members: readonly MemberSettings[] };
  readonly further: readonly FurtherSet[];
  readonly pins: ReadonlyMap<string, SetName>;
}

/** `secretFile`: of the first set, where none is named. Throws OperationalError. */
export function configuredSets(layer: ConfigurationLayer, secretFile: string): ConfiguredSets {
  const { mirrorSet } = layer;
  const at = ['mirrorSet', 'members'];
  const secret = secretSource(mirrorSet?.secret, mirrorSet?.secretFile, secretFile, ['mirrorSet', 'secret']);
  const given = mirrorSet?.members ?? loopbackMembers(DEFAULT_OSD_PORTS);
  const members = readMembers(given, at, at.join('.'));
  const furtherSets = readFurtherSets(layer, secret);
  requireDistinct([...members, ...furtherSets.flatMap((set) => set.members)]);
  return {
    first: { secret, members: members.map(({ member }) => member) },
    further: furtherSets.map((set) => ({ ...set, members: set.members.map(({ member }) => member) })),
    pins: readPins(layer),
  };
}
