/**
 * Tells the services, and the other commands, what this `tally up` runs. OSDs that have no socket get one in the data folder, which is
 * private: all of them are on this machine.
 */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { formatAddress } from '../address.js';
import { type Configuration, runFileOf } from '../configuration.js';
import { type MemberSettings, socketFault } from '../configured-sets.js';
import type { ConfigurationLayer } from '../configuration-schema.js';
import { writePrivateFile } from '../private-files.js';

const HEADER = `# Written by "tally up" at every start: the configuration that runs in this folder. Other commands read it.
# To change something, give flags or a configuration of your own (tally up --config), not this file.
`;

/** For its owner only: secrets that were given as text are in it as text. */
export async function writeRunFile(layer: ConfigurationLayer, configuration: Configuration): Promise<string> {
  const { dataFolder, mirrorSet, furtherSets, s3, admin, log } = configuration;
  const { osd, ...rest } = layer;
  const content: ConfigurationLayer = {
    ...rest,
    data: dataFolder,
    mirrorSet: {
      ...layer.mirrorSet,
      ...(mirrorSet.id !== null && { id: mirrorSet.id }),
      members: withSockets(mirrorSet.members, dataFolder),
    },
    ...(layer.furtherSets !== undefined && {
      furtherSets: layer.furtherSets.map((set, index) => ({
        ...set,
        members: withSockets(furtherSets[index]?.members ?? [], dataFolder),
      })),
    }),
    s3: { ...layer.s3, region: s3.region, listen: formatAddress(s3.listen) },
    admin: { ...layer.admin, listen: formatAddress(admin.listen) },
    ...(osd?.tls !== undefined && { osd: { tls: osd.tls } }),
    log: { ...layer.log, level: log.level, ...(log.folder !== null && { folder: log.folder }) },
  };
  const path = runFileOf(dataFolder);
  await writePrivateFile(path, HEADER + stringify(content));
  return path;
}

type GivenMembers = NonNullable<NonNullable<ConfigurationLayer['mirrorSet']>['members']>;

function withSockets(members: readonly MemberSettings[], dataFolder: string): GivenMembers {
  return members.map(({ mirror, url, socketPath }) => {
    const socket = socketPath ?? join(dataFolder, `${mirror}.sock`);
    return { name: mirror, url, ...(socketFault(url, socket) === null && { socket }) };
  });
}
