/** Real OSD servers on loopback for tests. */
import { fastify, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { CertificateExpiry } from '../../../src/metrics/certificate-metrics.js';
import { DEFAULT_OSD_LIMITS, type OsdLimits } from '../../../src/osd/limits.js';
import type { OsdFigures } from '../../../src/osd/osd-figures.js';
import { createOsdServer } from '../../../src/osd/osd-server.js';
import type { ObjectStore } from '../../../src/store/object-store.js';
import type { ServerTls } from '../../../src/tls/node-server.js';
import type { TlsSource } from '../../../src/tls/watched-tls.js';
import { HttpOsdConnection } from '../../../src/wire/http-osd-connection.js';
import type { SetSecrets } from '../../../src/wire/contract.js';
import type { ContractRange } from '../../../src/wire/contract-version.js';
import type { OsdTimeouts } from '../../../src/wire/osd-connection.js';
import { SECRET } from './osd-writer.js';

/** Far beyond what any answer takes, however busy the machine is: tests of time-outs bring their own. */
export const TIMEOUTS: OsdTimeouts = { connectMs: 15_000, answerMs: 15_000, bodyIdleMs: 15_000 };

/** Says nothing. */
export function silentLogger(): FastifyBaseLogger {
  return fastify({ logger: false }).log;
}

export interface RunningOsd {
  readonly url: string;
  readonly incarnation: string;
  readonly app: FastifyInstance;
  readonly connection: HttpOsdConnection;
  readonly violations: Error[];
  close(): Promise<void>;
}

export interface StartOptions {
  readonly limits?: Partial<OsdLimits>;
  readonly timeouts?: Partial<OsdTimeouts>;
  /** Default: SECRET, which its connection shows. */
  readonly secret?: SetSecrets;
  /** What the server speaks; its connection speaks what this build does. */
  readonly contract?: ContractRange;
  /** Default: one that is free. */
  readonly port?: number;
  /** Listens on this unix socket instead of a port. */
  readonly socketPath?: string;
  /** Listens on this unix socket beside its port. */
  readonly doorPath?: string;
  readonly logger?: FastifyBaseLogger;
  readonly certificates?: () => Iterable<CertificateExpiry>;
  readonly figures?: OsdFigures;
  readonly tls?: { readonly server: ServerTls; readonly client: TlsSource };
}

let runCount = 0;

export async function startOsd(store: ObjectStore, options: StartOptions = {}): Promise<RunningOsd> {
  const violations: Error[] = [];
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  runCount += 1;
  const incarnation = `run-${runCount}`;
  const connect = (url: string) =>
    new HttpOsdConnection({ url, secret: SECRET, timeouts, tls: options.tls?.client ?? null });
  const app = createOsdServer({
    store,
    secret: options.secret ?? SECRET,
    incarnation,
    softwareVersion: 'test',
    logger: options.logger ?? silentLogger(),
    clock: () => Date.now(),
    limits: { ...DEFAULT_OSD_LIMITS, ...options.limits },
    tls: options.tls?.server ?? null,
    socketPath: options.doorPath ?? null,
    connect,
    ...(options.contract !== undefined && { contract: options.contract }),
    ...(options.certificates !== undefined && { certificates: options.certificates }),
    ...(options.figures !== undefined && { figures: options.figures }),
    onInvariantViolation: (violation) => violations.push(violation),
  });
  const { socketPath } = options;
  const place =
    socketPath === undefined ? { host: '127.0.0.1', port: options.port ?? 0 } : { path: socketPath };
  const listening = await app.listen(place).catch(async (error: unknown) => {
    await app.close();
    throw error;
  });
  const address = options.tls === undefined ? listening : listening.replace('http:', 'https:');
  const url = socketPath === undefined ? address : `unix:${socketPath}`;
  const connection = connect(url);
  return {
    url,
    incarnation,
    app,
    connection,
    violations,
    close: async () => {
      await connection.close();
      await app.close();
    },
  };
}
