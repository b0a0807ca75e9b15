/**
 * `tally up`: one gateway and its OSDs on this machine, each a process of its own.
 *
 * Order of the start: the folder's socket (nobody else uses the folder), ports, first start (formats, makes secrets), OSDs, gateway.
 * Order of the stop: gateway (requests in flight are answered, the clean stop goes on record), then the OSDs.
 *
 * A service that dies is not started again unless `restarts`: its operator sees it, and sees the line that brings it back.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pico from 'picocolors';
import { type AdminOperation, AdminClient } from '../admin-client.js';
import { isLoopback } from '../address.js';
import {
  allMembers,
  type Configuration,
  memberAddress,
  resolveConfiguration,
  setOfMember,
} from '../configuration.js';
import { mergeLayers } from '../configuration-layers.js';
import type { ConfigurationLayer } from '../configuration-schema.js';
import { claimDataFolder, type DataFolderMarker, readMarker, runFirstStart } from '../data-folder.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { explainError } from '../explain-error.js';
import { findHolder, FolderSocket } from '../folder-socket.js';
import type { Invocation } from '../invocation.js';
import { fetchTrusting } from '../open-tls.js';
import { nodeArguments, SERVICE_ENVIRONMENT } from '../node-arguments.js';
import { OperationalError } from '../operational-error.js';
import { programFile } from '../program-files.js';
import { describeBriefly } from '../reconcile-text.js';
import { createMissingSecrets, readAdminToken, readS3Keys, type S3Keys } from '../secrets.js';
import { readSoftwareVersion } from '../software-version.js';
import { GATEWAY_END_MS, OSD_END_MS, PREDECESSOR_POLL_MS } from '../timeouts.js';
import { fileError } from '../system-error.js';
import { requireFreePorts } from './ports.js';
import { writeRunFile } from './run-file.js';
import { type ServiceCommand, type ServiceNews, Supervisor } from './supervisor.js';
import { bringBackLine, renderWelcome } from './welcome.js';

export interface UpRequest {
  /** All layers but the defaults. */
  readonly layer: ConfigurationLayer;
  readonly invocation: Invocation;
  readonly environment: NodeJS.ProcessEnv;
  readonly restarts: boolean;
  readonly isJson: boolean;
}

const GATEWAY = 'gateway';
const PORT_PATIENCE_MS = 3000;
const ACTIVE_WITHIN_MS = 20_000;
const EVENTS_POLL_MS = 1000;
const RESTART_DELAY_MS = 1000;
const RESTART_DELAY_MAX_MS = 30_000;

export async function runUp(request: UpRequest): Promise<ExitCode> {
  return new Up(request).run();
}

class Up {
  readonly #request: UpRequest;
  readonly #supervisor: Supervisor;
  readonly #restartDelays = new Map<string, number>();
  #configuration: Configuration;
  #runFile = '';
  readonly #stopping = new AbortController();
  readonly #stopWanted: Promise<[]>;

  constructor(request: UpRequest) {
    this.#request = request;
    const { dataFolder } = resolveConfiguration(request.layer);
    const log = { folder: join(dataFolder, 'log') };
    this.#configuration = resolveConfiguration(mergeLayers({ log }, request.layer));
    this.#stopWanted = new Promise((resolve) => {
      this.#stopping.signal.addEventListener('abort', () => resolve([]), { once: true });
    });
    this.#supervisor = new Supervisor((news) => {
      this.#tell(news);
    });
  }

  async run(): Promise<ExitCode> {
    this.#requireLoopback();
    const { dataFolder } = this.#configuration;
    await claimDataFolder(dataFolder);
    const socket = await this.#takeFolder();
    this.#listenToSignals();
    try {
      const found = await readMarker(dataFolder);
      await this.#waitForPredecessor();
      await this.#requirePorts(found);
      const isFirstStart = await this.#prepare(found);
      await this.#startAll(isFirstStart);
      await this.#waitUntilActive();
      await this.#welcome(isFirstStart);
      await this.#follow();
      return EXIT.ok;
    } catch (error) {
      if (this.#stopping.signal.aborted) return EXIT.ok;
      throw error;
    } finally {
      await this.#stopAll();
      await socket.close();
    }
  }

  get #osdNames(): string[] {
    return allMembers(this.#configuration).map(({ mirror }) => mirror);
  }

  #requireLoopback(): void {
    const elsewhere = allMembers(this.#configuration).find(
      (member) => !isLoopback(memberAddress(member).host),
    );
    if (elsewhere === undefined) return;
    throw new OperationalError(
      'not-on-this-machine',
      EXIT.configuration,
      `"tally up" runs everything on this machine, but ${elsewhere.mirror} is at ${elsewhere.url}: use "tally gateway" and "tally osd" there.`,
    );
  }

  async #takeFolder(): Promise<FolderSocket> {
    const { dataFolder } = this.#configuration;
    try {
      return await FolderSocket.acquire(join(dataFolder, 'up.sock'), 'tally up', this.#supervisor);
    } catch (error) {
      throw fileError(error, 'The data folder', dataFolder);
    }
  }

  #listenToSignals(): void {
    const stop = (signal: NodeJS.Signals) => {
      if (this.#stopping.signal.aborted && signal !== 'SIGHUP') {
        this.#supervisor.killAll();
        process.exit(EXIT.interrupted);
      }
      if (!this.#stopping.signal.aborted) this.#say('Stopping. (Again: stop at once.)');
      this.#stopping.abort();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
    // The terminal may be gone; that is no reason to leave the services alone.
    process.stdout.on('error', () => undefined);
    process.stderr.on('error', () => undefined);
  }

  /** The services of a `tally up` that was killed notice it, and need a moment to stop. */
  async #waitForPredecessor(): Promise<void> {
    const path = join(this.#configuration.dataFolder, 'authority', 'gateway.sock');
    const { drainMs } = this.#configuration.shutdown;
    const startMs = performance.now();
    for (;;) {
      const holder = await findHolder(path);
      if (holder === null || performance.now() - startMs > drainMs + GATEWAY_END_MS) return;
      await sleep(PREDECESSOR_POLL_MS);
    }
  }

  async #requirePorts(found: DataFolderMarker | null): Promise<void> {
    const { s3, admin } = this.#configuration;
    const wanted = [
      { what: 'the S3 endpoint', address: s3.listen, flag: '--s3-port' },
      { what: 'the admin API', address: admin.listen, flag: '--admin-port' },
      ...allMembers(this.#configuration).map((member) => ({
        what: member.mirror,
        address: memberAddress(member),
        flag: '--osd-ports',
      })),
    ];
    await requireFreePorts(wanted, found === null ? 0 : PORT_PATIENCE_MS);
  }

  /** True at the first start. */
  async #prepare(found: DataFolderMarker | null): Promise<boolean> {
    const { dataFolder, mirrorSet } = this.#configuration;
    if (found !== null && mirrorSet.id !== null && mirrorSet.id !== found.setId) {
      throw new OperationalError(
        'other-set',
        EXIT.configuration,
        `${dataFolder} belongs to the mirror set ${found.setId}, not to ${mirrorSet.id}.`,
      );
    }
    const createSecrets = () => createMissingSecrets(this.#configuration);
    const isFirstStart = found?.state !== 'ready';
    const first = {
      dataFolder,
      setId: mirrorSet.id,
      osds: this.#osdNames.map((name) => ({
        name,
        setId: setOfMember(this.#configuration, name)?.id ?? null,
      })),
      createSecrets,
      nowMs: Date.now(),
    };
    const marker = isFirstStart ? await runFirstStart(first, found) : found;
    if (!isFirstStart) await createSecrets();
    this.#configuration = { ...this.#configuration, mirrorSet: { ...mirrorSet, id: marker.setId } };
    this.#runFile = await writeRunFile(this.#request.layer, this.#configuration);
    return isFirstStart;
  }

  #commandOf(name: string): ServiceCommand {
    const what = name === GATEWAY ? [GATEWAY] : ['osd', '--name', name];
    const main = programFile('dist/cli/main.js');
    // Everything that the environment says is in the run file.
    const environment = Object.fromEntries(
      Object.entries(this.#request.environment).filter(([variable]) => !variable.startsWith('TALLY_')),
    );
    return {
      name,
      program: process.execPath,
      args: [...this.#nodeArguments(), main, ...what, '--config', this.#runFile],
      // What this process itself was started with wins.
      environment: { ...SERVICE_ENVIRONMENT, ...environment },
    };
  }

  /** What this process itself was started with comes last, and wins. */
  #nodeArguments(): string[] {
    const serviceCount = 1 + this.#osdNames.length;
    return [...nodeArguments(serviceCount, availableParallelism()), ...process.execArgv];
  }

  /** An OSD that can't start is no reason to keep the others from serving, except at the first start. */
  async #startAll(isFirstStart: boolean): Promise<void> {
    const results = await Promise.allSettled(
      this.#osdNames.map((name) => this.#supervisor.start(this.#commandOf(name))),
    );
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      if (isFirstStart || this.#supervisor.runningCount === 0) throw result.reason;
      this.#complain(explainError(result.reason).message);
    }
    this.#stopping.signal.throwIfAborted();
    await this.#supervisor.start(this.#commandOf(GATEWAY));
    this.#stopping.signal.throwIfAborted();
  }

  async #adminClient(): Promise<AdminClient> {
    const { admin, tls } = this.#configuration;
    const fetchFrom = await fetchTrusting(tls.adminClient, 'admin.caFile');
    return new AdminClient(admin.url, await readAdminToken(this.#configuration), fetchFrom);
  }

  async #waitUntilActive(): Promise<void> {
    const client = await this.#adminClient();
    const startMs = performance.now();
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      const { phase, waitingFor } = await client.status();
      if (phase === 'active') return;
      if (performance.now() - startMs > ACTIVE_WITHIN_MS) {
        this.#complain(`Nobody is served yet: ${waitingFor ?? phase}.`);
        return;
      }
      await sleep(PREDECESSOR_POLL_MS / 4);
    }
  }

  async #welcome(isFirstStart: boolean): Promise<void> {
    const keys = await readS3Keys(this.#configuration);
    if (this.#request.isJson) {
      this.#write(JSON.stringify(this.#facts(keys)));
      return;
    }
    this.#write(
      renderWelcome({
        configuration: this.#configuration,
        invocation: this.#request.invocation,
        keys,
        softwareVersion: readSoftwareVersion(),
        processIds: this.#processIds(),
        isFirstStart,
      }),
    );
  }

  #processIds(): Map<string, number> {
    const ids = new Map<string, number>();
    for (const name of [GATEWAY, ...this.#osdNames]) {
      const processId = this.#supervisor.processIdOf(name);
      if (processId !== null) ids.set(name, processId);
    }
    return ids;
  }

  #facts(keys: S3Keys): object {
    const { s3, admin, dataFolder, mirrorSet, furtherSets } = this.#configuration;
    return {
      event: 'up',
      s3: { listen: s3.listen, region: s3.region, accessKey: keys.accessKey },
      admin: { url: admin.url },
      data: dataFolder,
      setId: mirrorSet.id,
      members: mirrorSet.members,
      furtherSets: furtherSets.map(({ id, members }) => ({ id, members })),
      processes: Object.fromEntries(this.#processIds()),
    };
  }

  /** Tells what happens to the mirrors, in plain words, until somebody asks to stop. */
  async #follow(): Promise<void> {
    const client = await this.#adminClient();
    let seenUntilMs = Date.now();
    for (;;) {
      await sleep(EVENTS_POLL_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      // A gateway that hangs must not hold up the stop.
      const events = await Promise.race([client.events().catch(() => []), this.#stopWanted]);
      if (this.#stopping.signal.aborted) return;
      for (const { atMs, message, kind } of events.filter(({ atMs }) => atMs > seenUntilMs).reverse()) {
        const last = kind === 'recovery-ended' ? await lastOperation(client, atMs) : null;
        this.#say(last === null ? message : `${message}; ${describeBriefly(last)}`);
        seenUntilMs = Math.max(seenUntilMs, atMs);
      }
    }
  }

  #tell(news: ServiceNews): void {
    switch (news.kind) {
      case 'said':
        this.#complain(`${news.name} | ${news.line}`);
        return;
      case 'joined':
        this.#say(
          `${news.name} is back, process ${news.processId}. It was started by hand; Ctrl-C here stops it too.`,
        );
        return;
      case 'died':
        this.#tellOfDeath(news.name, news.processId, news.how);
        return;
    }
  }

  #tellOfDeath(name: string, processId: number, how: string): void {
    const consequence = name === GATEWAY ? 'No requests are served.' : 'The other mirrors go on.';
    const { invocation, restarts } = this.#request;
    const died = `${name} (process ${processId}) died: ${how}. ${consequence}`;
    if (restarts) {
      this.#complain(`${died} It is started again.`);
      void this.#restart(name);
      return;
    }
    const line = bringBackLine(name, this.#configuration.dataFolder, invocation);
    this.#complain(`${died} Bring it back, in another terminal, with:\n\n  ${pico.bold(line)}\n`);
  }

  /** Never rejects. A service that dies again and again is started less and less often. */
  async #restart(name: string): Promise<void> {
    const delayMs = this.#restartDelays.get(name) ?? RESTART_DELAY_MS;
    this.#restartDelays.set(name, Math.min(delayMs * 2, RESTART_DELAY_MAX_MS));
    const { signal } = this.#stopping;
    try {
      await sleep(delayMs, undefined, { signal });
      const service = await this.#supervisor.start(this.#commandOf(name));
      this.#say(`${name} is back, process ${service.processId}.`);
      await sleep(RESTART_DELAY_MAX_MS, undefined, { signal });
      this.#restartDelays.delete(name);
    } catch (error) {
      if (signal.aborted) return;
      this.#complain(explainError(error).message);
      await this.#restart(name);
    }
  }

  async #stopAll(): Promise<void> {
    const { drainMs } = this.#configuration.shutdown;
    await this.#supervisor.stop([GATEWAY], drainMs + GATEWAY_END_MS);
    await this.#supervisor.stop(this.#osdNames, drainMs + OSD_END_MS);
    if (this.#stopping.signal.aborted) this.#say('Stopped.');
  }

  #write(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  #say(message: string): void {
    if (this.#request.isJson) this.#write(JSON.stringify({ event: 'news', atMs: Date.now(), message }));
    else this.#write(`${pico.dim(new Date().toLocaleTimeString('sv'))} ${message}`);
  }

  #complain(message: string): void {
    if (this.#request.isJson) this.#say(message);
    else process.stderr.write(`${pico.dim(new Date().toLocaleTimeString('sv'))} ${pico.yellow(message)}\n`);
  }
}

/** The reconciliation that ended then. */
async function lastOperation(client: AdminClient, endedMs: number): Promise<AdminOperation | null> {
  const operations = await client.operations().catch(() => []);
  return operations.find((operation) => operation.endedMs === endedMs) ?? null;
}
