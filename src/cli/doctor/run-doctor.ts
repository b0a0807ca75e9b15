/** `tally doctor`: looks at what usually goes wrong, and says what to do. It changes nothing. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type AdminStatus, AdminClient } from '../admin-client.js';
import { allMembers, type Configuration, memberAddress } from '../configuration.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { explainError } from '../explain-error.js';
import { fetchTrusting } from '../open-tls.js';
import { readAdminToken } from '../secrets.js';
import { readSoftwareVersion } from '../software-version.js';
import { examineFolder } from './disk-checks.js';
import { fail, type Finding, renderFindings } from './finding.js';
import { judgeSet } from './set-checks.js';
import { examineSecret, judgeClock, judgeNode } from './machine-checks.js';
import {
  examinePort,
  examineSocket,
  judgeContract,
  judgeService,
  judgeVersions,
  whyNotAlive,
} from './service-checks.js';

/** OSDs with a store on this machine. */
function localStores({ osd, dataFolder, ...rest }: Configuration): Map<string, string> {
  const stores = new Map<string, string>();
  for (const { mirror } of allMembers({ osd, dataFolder, ...rest })) {
    const folder = mirror === osd.name && osd.store !== null ? osd.store : join(dataFolder, mirror);
    if (mirror === osd.name || existsSync(folder)) stores.set(mirror, folder);
  }
  return stores;
}

async function examineDisks(configuration: Configuration, hasGateway: boolean): Promise<Finding[]> {
  const found = [...(await examineFolder(configuration.dataFolder, false))];
  if (hasGateway) found.push(...(await examineFolder(dirname(configuration.gateway.authorityFile), false)));
  for (const folder of localStores(configuration).values())
    found.push(...(await examineFolder(folder, true)));
  return found;
}

async function examineSecrets(configuration: Configuration, hasGateway: boolean): Promise<Finding[]> {
  const { mirrorSet, furtherSets, admin, credentials, metricsToken, s3, keysFile, furtherKeys } =
    configuration;
  const always = [mirrorSet.secret, ...furtherSets.map(({ secret }) => secret), metricsToken];
  const further = [...admin.furtherTokens, ...furtherKeys].map(({ secret }) => secret);
  const atGateway = [admin.token, credentials, ...further];
  const needed = new Set<string>();
  const found: Finding[] = [];
  for (const source of hasGateway ? [...always, ...atGateway] : always) {
    if (source?.kind === 'file') needed.add(source.path);
  }
  for (const path of needed) found.push(...(await examineSecret(path, true)));
  for (const { path } of [keysFile, s3.masterKeys]) found.push(...(await examineSecret(path, false)));
  return found;
}

async function askGateway(configuration: Configuration): Promise<readonly AdminStatus[] | Finding> {
  const { admin, tls, furtherSets } = configuration;
  try {
    const trusting = await fetchTrusting(tls.adminClient, 'admin.caFile');
    const client = new AdminClient(admin.url, await readAdminToken(configuration), trusting);
    const clients = [client, ...furtherSets.map(({ id }) => client.ofSet(id))];
    return await Promise.all(clients.map((each) => each.status()));
  } catch (error) {
    return fail('gateway', explainError(error).message, 'Start it with "tally up" or "tally gateway".');
  }
}

async function examineServices(configuration: Configuration, hasGateway: boolean): Promise<Finding[]> {
  const { tls, s3, admin } = configuration;
  const found: Finding[] = [];
  const toOsd = await fetchTrusting(tls.osdClient, 'mirrorSet.caFile');
  const toAdmin = await fetchTrusting(tls.adminClient, 'admin.caFile');
  const stores = localStores(configuration);
  for (const member of allMembers(configuration)) {
    const service = { name: member.mirror, url: member.url, fetch: toOsd };
    const problem = await whyNotAlive(service);
    found.push(judgeService(service, problem));
    if (stores.has(member.mirror)) {
      const own = configuration.osd.name === member.mirror ? configuration.osd.listen : null;
      found.push(await examinePort(member.mirror, own ?? memberAddress(member), problem === null));
      if (member.socketPath !== null)
        found.push(await examineSocket(member.mirror, member.socketPath, problem === null));
    }
  }
  const gateway = { name: 'gateway', url: admin.url, fetch: toAdmin };
  const problem = await whyNotAlive(gateway);
  found.push(judgeService(gateway, problem));
  if (hasGateway) {
    found.push(await examinePort('S3 endpoint', s3.listen, problem === null));
    found.push(await examinePort('admin API', admin.listen, problem === null));
  }
  return found;
}

/** Everything that there is to say, in the order in which one would look. */
async function examineAll(configuration: Configuration): Promise<readonly Finding[]> {
  const hasGateway = existsSync(dirname(configuration.gateway.authorityFile));
  const answer = await askGateway(configuration);
  const statuses = 'verdict' in answer ? [] : answer;
  return [
    judgeNode(process.versions.node),
    judgeClock(Date.now(), statuses[0]?.nowMs ?? null),
    ...(await examineDisks(configuration, hasGateway)),
    ...(await examineSecrets(configuration, hasGateway)),
    ...(await examineServices(configuration, hasGateway)),
    ...statuses.flatMap(judgeSet),
    ...judgeContract(statuses),
    'verdict' in answer ? answer : judgeVersions(readSoftwareVersion(), statuses),
  ];
}

export async function runDoctor(configuration: Configuration, isJson: boolean): Promise<ExitCode> {
  const findings = await examineAll(configuration);
  process.stdout.write(
    isJson ? `${JSON.stringify({ findings }, null, 2)}\n` : `${renderFindings(findings)}\n`,
  );
  return findings.some(({ verdict }) => verdict === 'fail') ? EXIT.notInSync : EXIT.ok;
}
