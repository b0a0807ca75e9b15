/** What `tally up` prints once everything runs: where, with which keys, and lines to paste. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pico from 'picocolors';
import { allMembers, type Configuration, DEFAULT_DATA_FOLDER } from '../configuration.js';
import { localUrl } from '../address.js';
import { type Invocation, showPath } from '../invocation.js';
import type { S3Keys } from '../secrets.js';

export interface WelcomeFacts {
  readonly configuration: Configuration;
  readonly invocation: Invocation;
  readonly keys: S3Keys;
  readonly softwareVersion: string;
  readonly processIds: ReadonlyMap<string, number>;
  readonly isFirstStart: boolean;
}

export interface PastableStep {
  readonly what: string;
  readonly line: string;
}

const BUCKET = 'photos';

/** ` --data <folder>`, or nothing for the default folder. */
function dataFlag(dataFolder: string, { workingFolder }: Invocation): string {
  if (dataFolder === join(workingFolder, DEFAULT_DATA_FOLDER)) return '';
  return ` --data ${showPath(dataFolder, workingFolder)}`;
}

export function bringBackLine(name: string, dataFolder: string, invocation: Invocation): string {
  const what = name === 'gateway' ? 'gateway' : `osd --name ${name}`;
  return `${invocation.command} ${what}${dataFlag(dataFolder, invocation)}`;
}

/** A file that is there to be uploaded. */
function sampleFile(workingFolder: string): string {
  return (
    ['README.md', 'package.json'].find((name) => existsSync(join(workingFolder, name))) ?? '/etc/os-release'
  );
}

function urlsOf({ s3, admin, tls }: Configuration): { readonly s3Url: string; readonly adminUrl: string } {
  return {
    s3Url: localUrl(s3.listen, tls.s3 !== null),
    adminUrl: localUrl(admin.listen, tls.admin !== null),
  };
}

/** The lines of the first five minutes, in order. Each works by itself, pasted into a POSIX shell in the same folder. */
function pastableSteps({ configuration, invocation, keys, processIds }: WelcomeFacts): PastableStep[] {
  const { admin, dataFolder, mirrorSet, s3 } = configuration;
  const { s3Url, adminUrl } = urlsOf(configuration);
  const { command, workingFolder } = invocation;
  const bucket = `${s3Url}/${BUCKET}`;
  const file = sampleFile(workingFolder);
  // curl before 8 leaves x-amz-content-sha256 out unless it is given.
  const curl = `curl -sS --aws-sigv4 aws:amz:${s3.region}:s3 --user ${keys.accessKey}:${showKey(keys.secretKey)} -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'`;
  const put = `${curl} -w '%{http_code}\\n'`;
  const data = dataFlag(dataFolder, invocation);
  const victim = mirrorSet.members.at(-1)?.mirror ?? '';
  const token =
    admin.token.kind === 'file'
      ? `$(cat ${showPath(admin.token.path, workingFolder)})`
      : '$TALLY_ADMIN_TOKEN';
  return [
    { what: 'make a bucket', line: `${put} -X PUT ${bucket}` },
    { what: 'put a file', line: `${put} -T ${file} ${bucket}/hello` },
    { what: 'get it back', line: `${curl} ${bucket}/hello | cmp - ${file} && echo the same bytes` },
    { what: 'list the bucket', line: `${curl} '${bucket}?list-type=2'; echo` },
    { what: 'look at the mirrors', line: `${command} status${data}` },
    {
      what: 'the same from the admin API',
      line: `curl -sS -H "Authorization: Bearer ${token}" ${adminUrl}/status`,
    },
    {
      what: `pull the plug on ${victim}`,
      line: `kill -9 ${processIds.get(victim) ?? `<process of ${victim}>`}`,
    },
    { what: 'keep writing: 20 more objects', line: `${put} -T ${file} '${bucket}/while-away-[1-20]'` },
    { what: 'see what it lacks', line: `${command} status${data}` },
    {
      what: 'bring it back (in a terminal of its own, or with & at the end)',
      line: bringBackLine(victim, dataFolder, invocation),
    },
    { what: 'watch it catch up (Ctrl-C ends the watching)', line: `${command} status --watch${data}` },
    { what: 'compare the mirrors whenever you like', line: `${command} reconcile --wait${data}` },
  ];
}

function showKey(secretKey: string): string {
  return /^[\w./+=-]+$/.test(secretKey) ? secretKey : `'${secretKey.replaceAll("'", String.raw`'\''`)}'`;
}

function showProcess(processId: number | undefined): string {
  return processId === undefined ? 'not running' : `process ${processId}`;
}

export function renderWelcome(facts: WelcomeFacts): string {
  const { configuration, invocation, keys, softwareVersion, processIds, isFirstStart } = facts;
  const { s3, credentials, dataFolder, log } = configuration;
  const { s3Url, adminUrl } = urlsOf(configuration);
  const path = (absolute: string) => showPath(absolute, invocation.workingFolder);
  const keptIn = credentials.kind === 'file' ? ` (kept in ${path(credentials.path)})` : ' (as given)';
  const lines = [
    `Tally ${softwareVersion} is up${isFirstStart ? ', for the first time' : ''}.`,
    '',
    `  S3 endpoint  ${pico.bold(s3Url)}  region ${s3.region}, path-style addresses`,
    `  Access key   ${pico.bold(keys.accessKey)}`,
    `  Secret key   ${pico.bold(keys.secretKey)}${keptIn}`,
    `  Admin API    ${adminUrl}`,
    `  gateway      ${showProcess(processIds.get('gateway'))}`,
    ...allMembers(configuration).map(
      ({ mirror, url }) => `  ${mirror.padEnd(11)}  ${url}  ${showProcess(processIds.get(mirror))}`,
    ),
    `  Data         ${path(dataFolder)}${log.folder === null ? '' : `  logs in ${path(log.folder)}`}`,
    '',
    'Paste these into another terminal, in this folder:',
    '',
    ...pastableSteps(facts).flatMap(({ what, line }) => [pico.dim(`# ${what}`), line]),
    '',
    'Ctrl-C stops everything.',
  ];
  return lines.join('\n');
}
