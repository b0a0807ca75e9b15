/**
 * A whole Tally system in a folder of its own: a gateway and two OSDs, each a real process which can be killed, frozen,
 * wiped and started again alone. They are started, and find each other, as `tally up` has it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdminStatus } from '../../src/admin/schemas.js';
import { nodeArguments, SERVICE_ENVIRONMENT } from '../../src/cli/node-arguments.js';
import { makeMasterKeyLine } from '../../src/s3/encryption/master-keys.js';
import type { WritesMode } from '../../src/protocol/forwarding.js';
import { HttpOsdConnection } from '../../src/wire/http-osd-connection.js';
import type { OsdConnection } from '../../src/wire/osd-connection.js';
import { AdminClient } from './admin-client.js';
import { childrenOf } from './child-processes.js';
import { findFreePorts } from './free-ports.js';
import { Links } from './links.js';
import { ManagedProcess } from './managed-process.js';
import { compareMirrors, type MirrorComparison } from './mirror-comparison.js';
import { viewOsd } from './osd-view.js';
import { type Patience, until } from './patience.js';
import { cliEntry } from './repository.js';
import { type S3Access, S3Client } from './s3-client.js';

/** The name of every mirror set here. */
export const TEST_SET_ID = 'test-set';

const OSD_NAMES = ['osd-0', 'osd-1'] as const;
/** As `tally up` starts them. */
const NODE_ARGUMENTS = nodeArguments(1 + OSD_NAMES.length, availableParallelism());
const OSD_SECRET = 'test-secret-of-the-mirror-set';
const ADMIN_TOKEN = 'test-token-of-the-admin-api';
const READ_TOKEN = 'test-token-that-may-only-look';
const ACCESS_KEY = 'TALLYTESTACCESSKEY';
const SECRET_KEY = 'tally-test-secret-key-0123456789';
const REGION = 'us-east-1';
const READY_WITHIN_MS = 30_000;
const SYNC_WITHIN_MS = 90_000;

/** Where the gateway looks for them by itself; those of an earlier run stay. */
function makeMasterKeys(folder: string): void {
  const path = join(folder, 'master-keys');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(path)) writeFileSync(path, `${makeMasterKeyLine()}\n`, { mode: 0o600 });
}

export interface SystemOptions {
  /** Default: a new temporary folder, removed by `dispose`. */
  readonly folder?: string;
  readonly logLevel?: string;
  /** Writes wait while a mirror is reconciled, from beginning to end. */
  readonly suspendsWrites?: boolean;
  /** Default: direct. */
  readonly writes?: WritesMode;
  /** Processes that serve the S3 endpoint. Default: the gateway itself. */
  readonly workers?: number;
  /** What else is configured; what is said here (addresses, secrets, the first key) goes over it. */
  readonly configurationFile?: string;
  /** The program of all of them, as `cliEntry()`, which is the default. With one they meet over TCP: earlier ones knew nothing else. */
  readonly entry?: string;
  /** They meet over sockets in the folder. Default: unless `entry` or links say otherwise. */
  readonly hasSockets?: boolean;
  /** Gateway and OSDs reach the OSDs through proxies, `links`. */
  readonly hasLinks?: boolean;
}

/** Where the parts listen, and where others find the OSDs. */
interface Places {
  readonly s3Port: number;
  readonly adminPort: number;
  readonly osdPorts: readonly [number, number];
  readonly links: Links | null;
}

export interface OsdHandle {
  readonly name: string;
  readonly url: string;
  readonly storeFolder: string;
  readonly process: ManagedProcess;
  readonly connection: OsdConnection;
}

export class TallySystem {
  readonly folder: string;
  readonly access: S3Access;
  readonly s3: S3Client;
  readonly admin: AdminClient;
  readonly adminUrl: string;
  readonly adminToken = ADMIN_TOKEN;
  readonly readToken = READ_TOKEN;
  readonly gateway: ManagedProcess;
  readonly osds: readonly [OsdHandle, OsdHandle];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #links: Links | null;
  readonly #entry: string;
  /** Of those that run another program. */
  readonly #entries = new Map<string, string>();
  readonly #isTemporary: boolean;

  private constructor(folder: string, places: Places, options: SystemOptions) {
    const { s3Port, adminPort, osdPorts, links } = places;
    this.folder = folder;
    this.#links = links;
    this.#entry = options.entry ?? cliEntry();
    this.#isTemporary = options.folder === undefined;
    const hasSockets = options.hasSockets ?? (links === null && options.entry === undefined);
    const members = OSD_NAMES.map((name, index) => {
      const member = `${name}=http://127.0.0.1:${links?.portOf(name) ?? osdPorts[index]}`;
      return hasSockets ? `${member}+unix:${join(folder, `${name}.sock`)}` : member;
    });
    this.#environment = {
      ...SERVICE_ENVIRONMENT,
      TALLY_DATA: folder,
      TALLY_SET_ID: TEST_SET_ID,
      TALLY_SET_SECRET: OSD_SECRET,
      TALLY_MEMBERS: members.join(','),
      TALLY_ADMIN_TOKEN: ADMIN_TOKEN,
      TALLY_ADMIN_READ_TOKEN: READ_TOKEN,
      TALLY_ACCESS_KEY: ACCESS_KEY,
      TALLY_SECRET_KEY: SECRET_KEY,
      TALLY_REGION: REGION,
      TALLY_LOG_LEVEL: options.logLevel ?? 'info',
      TALLY_SUSPENDS_WRITES: String(options.suspendsWrites ?? false),
      TALLY_WRITES: options.writes ?? 'direct',
      TALLY_WORKERS: String(options.workers ?? 1),
      ...(options.configurationFile !== undefined && { TALLY_CONFIG: options.configurationFile }),
    };
    const endpoint = `http://127.0.0.1:${s3Port}`;
    this.access = { endpoint, accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY, region: REGION };
    this.s3 = new S3Client(this.access);
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
    this.admin = new AdminClient(this.adminUrl, ADMIN_TOKEN);
    this.gateway = this.makeGateway('gateway', s3Port, adminPort);
    const [name0, name1] = OSD_NAMES;
    this.osds = [this.#makeOsd(name0, osdPorts[0]), this.#makeOsd(name1, osdPorts[1])];
  }

  /** Formats and starts everything, and waits until it serves with both mirrors in sync. */
  static async start(options: SystemOptions = {}): Promise<TallySystem> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tally-'));
    mkdirSync(join(folder, 'logs'), { recursive: true });
    makeMasterKeys(join(folder, 'secrets'));
    const [s3Port = 0, adminPort = 0, osd0Port = 0, osd1Port = 0] = await findFreePorts(4);
    const osdPorts = [osd0Port, osd1Port] as const;
    // Whichever process of the gateway calls, it is the gateway that does.
    const callers = () => [
      ...system.processes.filter(({ isRunning }) => isRunning),
      ...system.workerProcessIds.map((processId) => ({ name: 'gateway', processId })),
    ];
    const listeners = OSD_NAMES.map((name, index) => ({ name, port: osdPorts[index] ?? 0 }));
    const links = options.hasLinks === true ? await Links.start(listeners, callers) : null;
    const system: TallySystem = new TallySystem(folder, { s3Port, adminPort, osdPorts, links }, options);
    try {
      for (const osd of system.osds) {
        system.format(osd);
        osd.process.start();
      }
      system.gateway.start();
      await system.untilInSync(READY_WITHIN_MS);
    } catch (error) {
      await system.killAll();
      throw error;
    }
    return system;
  }

  /** What a process runs from its next start on. */
  useProgram(name: string, entry: string): void {
    this.#entries.set(name, entry);
  }

  #entryOf(name: string): string {
    return this.#entries.get(name) ?? this.#entry;
  }

  /** Of the gateway, when it has any. */
  get workerProcessIds(): readonly number[] {
    return this.gateway.isRunning ? childrenOf(this.gateway.processId) : [];
  }

  get processes(): readonly ManagedProcess[] {
    return [this.gateway, ...this.osds.map((osd) => osd.process)];
  }

  /** A gateway over the same mirror set and the same authority, on other ports: a second one, when `gateway` is another. */
  makeGateway(name: string, s3Port: number, adminPort: number): ManagedProcess {
    return new ManagedProcess({
      name,
      program: process.execPath,
      args: () => [...NODE_ARGUMENTS, this.#entryOf(name), 'gateway'],
      environment: {
        ...this.#environment,
        TALLY_S3_LISTEN: `127.0.0.1:${s3Port}`,
        TALLY_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      },
      logPath: join(this.folder, 'logs', `${name}.log`),
    });
  }

  /** Clients of a gateway from `makeGateway`. */
  clientsAt(s3Port: number, adminPort: number): { readonly s3: S3Client; readonly admin: AdminClient } {
    return {
      s3: new S3Client({ ...this.access, endpoint: `http://127.0.0.1:${s3Port}` }),
      admin: new AdminClient(`http://127.0.0.1:${adminPort}`, ADMIN_TOKEN),
    };
  }

  /** Precondition: it was started with them. */
  get links(): Links {
    if (this.#links === null) throw new Error('this system was started without links');
    return this.#links;
  }

  #osdEnvironment(name: string, port: number): Record<string, string> {
    return {
      ...this.#environment,
      TALLY_OSD_NAME: name,
      TALLY_OSD_LISTEN: `127.0.0.1:${port}`,
      TALLY_OSD_STORE: join(this.folder, name),
    };
  }

  /** The tests themselves ask it without a proxy. */
  #makeOsd(name: string, port: number): OsdHandle {
    const url = `http://127.0.0.1:${port}`;
    return {
      name,
      url,
      storeFolder: join(this.folder, name),
      process: new ManagedProcess({
        name,
        program: process.execPath,
        args: () => [...NODE_ARGUMENTS, this.#entryOf(name), 'osd'],
        environment: this.#osdEnvironment(name, port),
        logPath: join(this.folder, 'logs', `${name}.log`),
      }),
      connection: new HttpOsdConnection({
        url,
        secret: OSD_SECRET,
        timeouts: { connectMs: 2000, answerMs: 10_000, bodyIdleMs: 10_000 },
      }),
    };
  }

  /** Makes a new, empty store for an OSD that is not running. */
  format(osd: OsdHandle): void {
    const result = spawnSync(process.execPath, [this.#entryOf(osd.name), 'format'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        ...this.#osdEnvironment(osd.name, Number(new URL(osd.url).port)),
      },
      encoding: 'utf8',
    });
    if (result.status !== 0) throw new Error(`format ${osd.name}: ${result.stdout}${result.stderr}`);
  }

  /** A new disk: whatever the OSD had is gone. It must not be running. */
  wipe(osd: OsdHandle): void {
    // The folder itself may be where a disk is mounted.
    for (const name of readdirSync(osd.storeFolder)) rmSync(join(osd.storeFolder, name), { recursive: true });
    this.format(osd);
  }

  otherThan(osd: OsdHandle): OsdHandle {
    return osd === this.osds[0] ? this.osds[1] : this.osds[0];
  }

  /**
   * Waits until every configured mirror is in sync and requests are served. The OSDs themselves are asked too: for a moment
   * the gateway does not know of one that was just restarted.
   */
  async untilInSync(withinMs = SYNC_WITHIN_MS): Promise<AdminStatus> {
    const look = async () => {
      const status = await this.admin.status();
      const identities = await Promise.all(this.osds.map(({ connection }) => connection.identity()));
      return { status, activeEpochs: identities.map(({ activeEpoch }) => activeEpoch) };
    };
    const isInSync = ({ status, activeEpochs }: Awaited<ReturnType<typeof look>>) =>
      status.phase === 'active' &&
      status.operation === null &&
      status.inSync.length === this.osds.length &&
      activeEpochs.every((epoch) => epoch === status.epoch);
    const { status } = await until('all mirrors are in sync', look, isInSync, this.#patience(withinMs));
    return status;
  }

  /** Waits until requests are served, by however many mirrors. */
  async untilServing(withinMs = SYNC_WITHIN_MS): Promise<AdminStatus> {
    return this.#untilStatus('requests are served', ({ phase }) => phase === 'active', withinMs);
  }

  /** Waits until the set is served by everyone but this mirror. */
  async untilExcluded(osd: OsdHandle, withinMs: number): Promise<AdminStatus> {
    return this.#untilStatus(
      `${osd.name} is left out`,
      ({ phase, inSync }) => phase === 'active' && !inSync.some((mirror) => mirror === osd.name),
      withinMs,
    );
  }

  #untilStatus(
    claim: string,
    holds: (status: AdminStatus) => boolean,
    withinMs: number,
  ): Promise<AdminStatus> {
    return until(claim, () => this.admin.status(), holds, this.#patience(withinMs));
  }

  #patience(withinMs: number): Patience {
    const giveUp = () => {
      const ended = this.#unexpectedlyEnded();
      return ended === undefined ? null : new Error(`${ended.name} ended by itself\n${ended.logTail()}`);
    };
    return { withinMs, giveUp };
  }

  /** A process that was not killed by us, and is gone. */
  #unexpectedlyEnded(): ManagedProcess | undefined {
    return this.processes.find(
      ({ isRunning, lastExit }) =>
        !isRunning && lastExit !== null && lastExit.signal === null && lastExit.code !== 0,
    );
  }

  /** Waits until no tag table has a row left. */
  async untilTablesEmpty(withinMs: number): Promise<void> {
    await until(
      'both tag tables are empty',
      () => Promise.all(this.osds.map(async ({ connection }) => (await connection.identity()).rowCount)),
      (counts) => counts.every((count) => count === 0),
      { withinMs },
    );
  }

  /** I7. Precondition: in sync, nobody writes. */
  async compare(): Promise<MirrorComparison> {
    const [left, right] = this.osds;
    const { activeEpoch } = await left.connection.identity();
    return compareMirrors(
      viewOsd(left.name, left.connection, activeEpoch),
      viewOsd(right.name, right.connection, activeEpoch),
    );
  }

  /** Ends all processes in order, with SIGTERM. */
  async stopAll(): Promise<void> {
    await this.gateway.stop();
    await Promise.all(this.osds.map((osd) => osd.process.stop()));
  }

  async killAll(): Promise<void> {
    await Promise.all(this.processes.map((part) => part.kill()));
  }

  /** Ends everything. Without `keep` a temporary folder goes, too. */
  async dispose(keep = false): Promise<void> {
    await this.killAll();
    await Promise.all([this.s3.close(), this.admin.close()]);
    await Promise.all(this.osds.map(({ connection }) => connection.close()));
    await this.#links?.close();
    if (this.#isTemporary && !keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
