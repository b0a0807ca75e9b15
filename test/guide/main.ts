/**
 * `npm run test:guide [-- --write]`: goes through docs/two-machines.md on two machines, each a network namespace with a file system of
 * its own. Every command is the guide's, taken from its text. `--write` keeps what was said in docs/two-machines.transcript.md.
 *
 * Needs root and iproute2; about five minutes. Stands in for what a container does not have: systemd, sudo, ssh (test/guide/stand-ins).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { requireRootAnd, runHere } from '../support/overlay-root.js';
import { repositoryRoot } from '../support/repository.js';
import { type GuideStep, readGuide, textFor } from './guide-steps.js';
import { Machine } from './machine.js';
import { Network } from './network.js';
import { AFTER, type Stage } from './story.js';
import { Transcript } from './transcript.js';

const NEEDED = {
  ip: 'iproute2',
  curl: 'curl',
  openssl: 'openssl',
  nsenter: 'util-linux',
  'systemd-sysusers': 'systemd',
};
const GUIDE = join(repositoryRoot, 'docs/two-machines.md');
const TRANSCRIPT = join(repositoryRoot, 'docs/two-machines.transcript.md');
const NEW_VERSION = '0.1.1';

const INTRODUCTION = `# Two machines, step by step: a transcript

What \`npm run test:guide\` saw when it went through [the guide](two-machines.md): two network namespaces, each with a file system and an
address of its own, and a switch between them whose ports can be pulled. Every command is the guide's unless it says otherwise. Stand-ins
take the place of systemd, sudo and ssh.
`;

/** Says what is done on the terminal; the transcript has the rest. */
function report(line: string): void {
  console.log(line);
}

function copyClone(machine: Machine): void {
  const files = runHere('git', ['-C', repositoryRoot, 'ls-files', '-z']);
  const archive = runHere('tar', ['-C', repositoryRoot, '--null', '-T', '-', '-c'], files);
  machine.write('/root/clone.tar', archive);
}

/** "Bring it to both machines", and later the same of a release that is newer. */
async function carryPackages(stage: Stage): Promise<void> {
  const { first, second } = stage;
  const [tarball = ''] = (await first.type('ls /root/tally/tally-*.tgz')).trim().split('\n');
  const packed = first.read(tarball);
  await first.type(
    [
      'rm -rf /tmp/new && mkdir /tmp/new && cd /tmp/new',
      `tar xzf ${tarball}`,
      `sed -i 's/^  "version": .*/  "version": "${NEW_VERSION}",/' package/package.json`,
      'tar czf /root/tally-NEW.tgz package',
      'cd /root',
    ].join('\n'),
  );
  const renewed = first.read('/root/tally-NEW.tgz');
  for (const machine of [first, second]) {
    machine.write(tarball.replace('/root/tally/', '/root/'), packed);
    machine.write('/root/tally-NEW.tgz', renewed);
  }
}

async function take(stage: Stage, step: GuideStep): Promise<void> {
  const { transcript } = stage;
  if (step.on === 'none') return;
  const machines =
    step.on === 'both' ? [stage.first, stage.second] : [step.on === 'second' ? stage.second : stage.first];
  for (const machine of machines) {
    const text = textFor(machine.name, step.text);
    if (step.file !== null) {
      machine.write(step.file, text);
      transcript.wrote(machine.name, step.file);
      continue;
    }
    report(`  on ${machine.name}: ${text.split('\n')[0]}`);
    transcript.ran(machine.name, text, await machine.type(text));
  }
}

async function goThrough(stage: Stage): Promise<void> {
  let section = '';
  const after = new Map(Object.entries(AFTER));
  const leave = async () => {
    await after.get(section)?.(stage);
    after.delete(section);
  };
  for (const step of readGuide(readFileSync(GUIDE, 'utf8'))) {
    if (step.section !== section) {
      await leave();
      ({ section } = step);
      report(section);
      stage.transcript.heading(section);
    }
    if (step.on === 'clone')
      await stage.first.type('mkdir -p tally && tar xf clone.tar -C tally && cd tally');
    await take(stage, step);
    if (step.on === 'clone') {
      await carryPackages(stage);
      await stage.first.type('cd /root');
    }
  }
  await leave();
  if (after.size > 0) throw new Error(`the guide has no section ${[...after.keys()].join(', ')}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  requireRootAnd(NEEDED);
  const transcript = new Transcript([repositoryRoot]);
  transcript.remark(INTRODUCTION);
  const network = Network.make();
  const machines: Machine[] = [];
  // Mounts and namespaces go in any case.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => machines.forEach((machine) => machine.abandon()));
  try {
    const first = new Machine('first', network);
    machines.push(first);
    const second = new Machine('second', network);
    machines.push(second);
    first.write('/run/other-machine', String(second.processId));
    second.write('/run/other-machine', String(first.processId));
    copyClone(first);
    await goThrough({ first, second, network, transcript });
  } finally {
    for (const machine of machines) await machine.remove();
    network.remove();
  }
  if (values.write) {
    writeFileSync(TRANSCRIPT, transcript.text);
    runHere('npx', ['--no-install', 'prettier', '--write', TRANSCRIPT]);
  }
  report(`every command of the guide was taken${values.write ? `; ${TRANSCRIPT}` : ''}`);
}

await main();
