/**
 * `npm run test:newcomer [-- --ports 9000]`: what somebody does who reads nothing but the README, with a watch running: clone, install,
 * start, the lines of "The first five minutes" as they stand there, and the console in a browser, which shows an OSD die and catch up.
 *
 * `--ports N`: the S3 port, and the ones that follow it by as much as in the README, where 9000 is taken. Times are told, not judged:
 * they are those of this machine, its network and its registry.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.js';
import { until } from '../support/patience.js';
import { repositoryRoot } from '../support/repository.js';

const README_PORT = 9000;
const WITHIN_MS = 600_000;
const AGAIN_MAX = 5;

class Watch {
  readonly #startMs = performance.now();
  #lastMs = this.#startMs;

  note(what: string): void {
    const nowMs = performance.now();
    const seconds = (ms: number) => (ms / 1000).toFixed(1).padStart(6);
    console.log(`${seconds(nowMs - this.#startMs)} s  (${seconds(nowMs - this.#lastMs).trim()} s)  ${what}`);
    this.#lastMs = nowMs;
  }
}

/** The commands of the README in their order; comments are left out, and what does not end by itself. */
function readmeCommands(): readonly string[] {
  const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('## The first five minutes'));
  const block = /```sh\n(.*?)```/s.exec(section)?.[1] ?? '';
  const lines = block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (lines.at(-1) !== 'npx tally status --watch')
    throw new Error('the README ends its first minutes otherwise');
  return lines.slice(0, -1);
}

/** Moves the README's ports (9000, 9001, 9010, ...) to where there is room. */
function movePorts(text: string, first: number): string {
  return text.replaceAll(/\b90(\d\d)\b/g, (_port, last: string) => String(first + Number(last)));
}

/** One shell, as a person has one open: what one line defines the next one knows. */
class Terminal {
  readonly #shell: ChildProcess;
  #output = '';
  #count = 0;

  constructor(folder: string) {
    this.#shell = spawn('bash', ['--noprofile', '--norc'], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#shell.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
  }

  async type(line: string): Promise<string> {
    this.#count += 1;
    const mark = `-- done ${this.#count}: `;
    const start = this.#output.length;
    this.#shell.stdin?.write(`${line}\necho "${mark}$?"\n`);
    await until(line, () => this.#output.includes(mark, start), Boolean, { withinMs: WITHIN_MS });
    return this.#output.slice(start);
  }

  /** The OSD that was started in it ends with it. */
  close(): void {
    this.#shell.stdin?.end('kill $(jobs -p)\n');
  }
}

async function openConsole(page: Page, url: string, token: string): Promise<void> {
  page.setDefaultTimeout(WITHIN_MS);
  await page.goto(url);
  await page.getByLabel('Admin token').fill(token);
  await page.keyboard.press('Enter');
}

function headline(page: Page, text: string | RegExp): Promise<void> {
  return page.getByRole('heading', { level: 1, name: text }).waitFor();
}

/** `npm start` until it prints its last line. */
async function start(folder: string, ports: number): Promise<ChildProcess> {
  const own = [ports, ports + 1, `${ports + 10},${ports + 11}`];
  const flags = [
    '--',
    '--s3-port',
    String(own[0]),
    '--admin-port',
    String(own[1]),
    '--osd-ports',
    String(own[2]),
  ];
  const child = spawn('npm', ['start', ...(ports === README_PORT ? [] : flags)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const isReady = () => output.includes('Ctrl-C stops everything.');
  const giveUp = () => (child.exitCode === null ? null : new Error(output));
  await until('everything runs', isReady, Boolean, { withinMs: WITHIN_MS, giveUp });
  return child;
}

function run(folder: string, program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { ports: { type: 'string', default: String(README_PORT) } } });
  const ports = Number(values.ports);
  const place = mkdtempSync(join(tmpdir(), 'tally-newcomer-'));
  const clone = join(place, 'tally');
  const browser = await launchChromium();
  let tally: ChildProcess | null = null;
  const watch = new Watch();
  try {
    run(place, 'git', 'clone', '--quiet', repositoryRoot, clone);
    watch.note('cloned');
    run(clone, 'npm', 'install');
    watch.note('npm install');
    tally = await start(clone, ports);
    watch.note('npm start: it serves');
    const terminal = new Terminal(clone);
    const page = await browser.newPage();
    for (const line of readmeCommands().map((command) => movePorts(command, ports))) {
      let output = await terminal.type(line);
      // On a busy machine the gateway is asked in vain now and then; whoever sits there asks again.
      for (let again = 0; again < AGAIN_MAX && output.includes('not a pid'); again += 1) {
        watch.note('no answer; the line is typed again');
        output = await terminal.type(line);
      }
      if (output.includes('the same bytes')) {
        watch.note('the first object is there, and comes back the same');
        const token = readFileSync(join(clone, 'data/secrets/admin-token'), 'utf8').trim();
        await openConsole(page, `http://127.0.0.1:${ports + 1}`, token);
        await headline(page, 'Both mirrors are in sync');
        watch.note('the console: both mirrors are in sync');
      } else if (line.startsWith('kill -9')) {
        await headline(page, /osd-1/);
        watch.note(`the console: ${(await page.getByRole('heading', { level: 1 }).textContent()) ?? ''}`);
      } else if (line.includes('while-away')) watch.note('20 objects were put meanwhile');
    }
    await headline(page, 'Both mirrors are in sync');
    watch.note('the console: both mirrors are in sync again');
    terminal.close();
  } finally {
    if (tally?.pid !== undefined) process.kill(-tally.pid, 'SIGINT');
    await browser.close();
    rmSync(place, { recursive: true, force: true, maxRetries: 20, retryDelay: 500 });
  }
}

await main();
