/**
 * `npm run test:docker-steps`: does what docker/Dockerfile says, without an engine: every stage in a clean copy of this machine's file
 * system (which stands in for the base image; Node is this machine's), every COPY from what git tracks, every RUN with chroot. Then
 * what the image would run is run as its user, and the health check is asked. Needs root.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { findFreePorts } from '../support/free-ports.js';
import { OverlayRoot, requireRootAnd, runHere } from '../support/overlay-root.js';
import { until } from '../support/patience.js';
import { repositoryRoot } from '../support/repository.js';
import { execForm, type Instruction, readDockerfile } from './dockerfile.js';

const HEALTHY_WITHIN_MS = 60_000;
/** They say something to an engine, and do nothing. */
const NOTED: ReadonlySet<string> = new Set(['VOLUME', 'EXPOSE', 'STOPSIGNAL']);

class Stage {
  readonly overlay: OverlayRoot;
  folder = '/';
  user = '0:0';
  readonly environment: Record<string, string> = {};
  /** CMD, ENTRYPOINT, and the command of HEALTHCHECK, as they came last. */
  readonly commands: Record<string, string[]> = {};

  constructor(name: string) {
    this.overlay = OverlayRoot.mount(name);
  }

  inside(path: string): string {
    return normalize(path.startsWith('/') ? path : join(this.folder, path));
  }

  /** The program and arguments that run a command in it, as its user. */
  command(words: readonly string[]): readonly [string, string[]] {
    const [user = '', group = ''] = this.user.split(':');
    const start = ['chroot', `--userspec=${user}:${group}`, this.overlay.root, 'env', '-C', this.folder];
    const settings = Object.entries(this.environment).map(([name, value]) => `${name}=${value}`);
    return ['env', [...start, ...settings, ...words]];
  }

  run(words: readonly string[]): string {
    return String(runHere(...this.command(words)));
  }
}

/** What git tracks of this path, as an archive whose names are relative to it. */
function archiveOf(path: string): Buffer {
  const isFolder = runHere('git', ['-C', repositoryRoot, 'ls-files', '--', path]).toString().trim() !== path;
  const base = join(repositoryRoot, isFolder ? path : dirname(path));
  const names = runHere('git', [
    '-C',
    base,
    'ls-files',
    '-z',
    '--',
    isFolder ? '.' : join(repositoryRoot, path),
  ]);
  return runHere('tar', ['-C', base, '--null', '-T', '-', '-c'], names);
}

function copy(stage: Stage, { flags, rest }: Instruction, stages: ReadonlyMap<string, Stage>): void {
  const words = rest.split(' ');
  const target = stage.overlay.at(stage.inside(words.at(-1) ?? ''));
  mkdirSync(target, { recursive: true });
  const from = flags['from'] === undefined ? null : stages.get(flags['from']);
  for (const source of words.slice(0, -1)) {
    if (from === null) runHere('tar', ['-C', target, '-x'], archiveOf(source));
    else if (from === undefined) throw new Error(`no stage ${flags['from']}`);
    else runHere('cp', ['-a', `${from.overlay.at(source)}/.`, target]);
  }
}

function take(stage: Stage, instruction: Instruction, stages: ReadonlyMap<string, Stage>): void {
  const { name, rest } = instruction;
  if (name === 'WORKDIR') {
    stage.folder = rest;
    mkdirSync(stage.overlay.at(rest), { recursive: true });
  } else if (name === 'COPY') copy(stage, instruction, stages);
  else if (name === 'RUN') stage.run(['sh', '-c', rest]);
  else if (name === 'USER') stage.user = rest;
  else if (name === 'ENV')
    for (const [, key = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) stage.environment[key] = value;
  else if (name === 'CMD' || name === 'ENTRYPOINT') stage.commands[name] = execForm(rest);
  else if (name === 'HEALTHCHECK') stage.commands[name] = execForm(rest.slice(rest.indexOf('[')));
  else if (!NOTED.has(name)) throw new Error(`${name} is not known here`);
}

/** An OSD as docker/compose.yaml starts it, as the image's user. */
async function runAsContainer(stage: Stage): Promise<void> {
  const { CMD: command = [], ENTRYPOINT: entry = [], HEALTHCHECK: health = [] } = stage.commands;
  if (!stage.run([...entry, ...command]).includes('Usage: tally')) throw new Error('CMD prints no help');
  const [port] = await findFreePorts(1);
  Object.assign(stage.environment, {
    TALLY_SET_ID: 'main',
    TALLY_SET_SECRET: 'a-secret-for-this-run-alone',
    TALLY_MEMBERS: `osd-0=http://127.0.0.1:${port},osd-1=http://127.0.0.1:1`,
    TALLY_OSD_NAME: 'osd-0',
    TALLY_OSD_STORE: '/data/store',
  });
  stage.run([...entry, 'format', '--name', 'osd-0', '--store', '/data/store', '--if-missing']);
  const [program, args] = stage.command([...entry, 'osd']);
  const osd = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => osd.once('exit', resolve));
  await until(
    'the health check finds it alive',
    () => stage.run(health),
    () => true,
    { withinMs: HEALTHY_WITHIN_MS, pollMs: 500 },
  );
  console.log('the health check of a running OSD, as user', stage.user, ': alive');
  osd.kill('SIGTERM');
  if ((await ended) !== 0) throw new Error('it did not end well at STOPSIGNAL');
}

async function main(): Promise<void> {
  requireRootAnd({ git: 'git', mount: 'mount', chroot: 'coreutils' });
  const stages = new Map<string, Stage>();
  let stage: Stage | null = null;
  try {
    for (const instruction of readDockerfile(
      readFileSync(join(repositoryRoot, 'docker/Dockerfile'), 'utf8'),
    )) {
      const startMs = performance.now();
      if (instruction.name === 'FROM') {
        const name = instruction.rest.split(' AS ')[1] ?? 'image';
        stage = new Stage(name);
        stages.set(name, stage);
      } else if (stage === null) throw new Error('the first instruction is FROM');
      else take(stage, instruction, stages);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      console.log(`${instruction.name} ${instruction.rest}  (${seconds} s)`);
    }
    if (stage === null) throw new Error('there is no stage');
    console.log(
      String(runHere('du', ['-sh', stage.overlay.at('/opt/tally')]))
        .replace(stage.overlay.root, '')
        .trim(),
    );
    await runAsContainer(stage);
  } finally {
    for (const { overlay } of stages.values()) overlay.unmount();
  }
}

await main();
