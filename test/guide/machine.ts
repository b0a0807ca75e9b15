/** One of the two machines: a file system and a network of its own, and a shell of root's in which one thing after the other is typed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OverlayRoot, runHere } from '../support/overlay-root.js';
import { until } from '../support/patience.js';
import { repositoryRoot } from '../support/repository.js';
import type { MachineName, Network } from './network.js';

const STEP_MS_MAX = 600_000;
const STAND_INS = join(repositoryRoot, 'test/guide/stand-ins');
/** First in the PATH of root. */
const STAND_IN_FOLDER = '/usr/local/sbin';

/** How npm gets to its registry here. */
function networkEnvironment(): NodeJS.ProcessEnv {
  const isAbout = /^(?:npm_config_\w+|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)$/i;
  const known = Object.entries(process.env).filter(([name]) => isAbout.test(name));
  return Object.fromEntries(
    known.filter(([name]) => !/^npm_config_(?:prefix|local_prefix|global)/i.test(name)),
  );
}

export class Machine {
  readonly name: MachineName;
  readonly #overlay: OverlayRoot;
  readonly #shell: ChildProcess;
  #stepCount = 0;

  constructor(name: MachineName, network: Network) {
    this.name = name;
    this.#overlay = OverlayRoot.mount(`guide-${name}`);
    this.#furnish();
    const { root } = this.#overlay;
    this.#shell = spawn(
      'ip',
      ['netns', 'exec', network.namespaceOf(name), 'chroot', root, '/bin/bash', '--noprofile', '--norc'],
      {
        env: {
          ...networkEnvironment(),
          PATH: `${STAND_IN_FOLDER}:${dirname(process.execPath)}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
          HOME: '/root',
          LANG: 'C.UTF-8',
        },
        stdio: ['pipe', 'inherit', 'inherit'],
      },
    );
    this.#shell.stdin?.write('set -e; cd /root\n');
  }

  #furnish(): void {
    for (const name of readdirSync(STAND_INS)) {
      const path = this.#overlay.at(join(STAND_IN_FOLDER, name));
      mkdirSync(dirname(path), { recursive: true });
      copyFileSync(join(STAND_INS, name), path);
      chmodSync(path, 0o755);
    }
    this.write('/run/host-network', '');
    this.#overlay.bind('/proc/self/ns/net', '/run/host-network');
    this.write('/run/npm', String(runHere('sh', ['-c', 'command -v npm'])));
    mkdirSync(this.#overlay.at('/etc/systemd/system'), { recursive: true });
  }

  /** For `nsenter` of the other machine. */
  get processId(): number {
    return this.#shell.pid ?? 0;
  }

  get #isAlive(): boolean {
    return this.#shell.exitCode === null && this.#shell.signalCode === null;
  }

  /** Whatever is typed on it fails from now on. */
  abandon(): void {
    this.#shell.kill('SIGKILL');
  }

  write(path: string, content: string | Buffer): void {
    mkdirSync(dirname(this.#overlay.at(path)), { recursive: true });
    writeFileSync(this.#overlay.at(path), content);
  }

  read(path: string): Buffer {
    return readFileSync(this.#overlay.at(path));
  }

  /** Types something, as into a terminal: what was defined before is still there. Returns what it printed. Rejects when it failed. */
  async type(text: string): Promise<string> {
    this.#stepCount += 1;
    const step = `/run/step-${this.#stepCount}`;
    this.write(step, text);
    this.#shell.stdin?.write(`. ${step} >${step}.out 2>&1 </dev/null; echo >${step}.done\n`);
    const output = () => String(this.read(`${step}.out`));
    await until(
      `"${text.slice(0, 60)}" is done`,
      () => this.read(`${step}.done`),
      () => true,
      {
        withinMs: STEP_MS_MAX,
        pollMs: 50,
        giveUp: () => (this.#isAlive ? null : new Error(`on ${this.name}: ${text}\n${output()}`)),
      },
    );
    return output();
  }

  /** Ends everything that runs on it: whoever has this file system as its root. */
  async remove(): Promise<void> {
    const { root } = this.#overlay;
    const mine = `for p in /proc/[0-9]*; do [ "$(readlink $p/root)" = "${root}" ] && kill -9 "\${p#/proc/}"; done; true`;
    await until(
      `nothing runs on ${this.name}`,
      () => {
        runHere('sh', ['-c', mine]);
        this.#overlay.unmount();
      },
      () => true,
      { withinMs: 10_000 },
    );
  }
}
