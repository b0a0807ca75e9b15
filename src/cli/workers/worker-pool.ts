/**
 * The worker processes of a gateway: starts them, starts another one in the place of each that ends, and ends them all.
 *
 * A worker that ends by a bug ends the gateway: a process that is wrong must not go on, and its successor would be as wrong. One that was
 * killed, or whose machine ran out of memory, is replaced; so is one that says nothing for HEARD_EVERY_MS * UNHEARD_MAX. All share the address of the S3 endpoint: node's cluster module
 * opens it in this process, and each worker takes connections for itself. None is handed over by this process (node's default): that it
 * would keep open for ever, without an answer, were the worker killed before it had taken it.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type S3FiguresSnapshot, SummedS3Figures } from '../../admin/s3-figures.js';
import { Peer } from '../../gateway/workers/peer.js';
import { WorkerFleet } from '../../gateway/workers/worker-fleet.js';
import { generatorsOfWriters } from '../../protocol/shard.js';
import type { GeneratorId } from '../../protocol/tag.js';
import { EXIT } from '../exit-codes.js';
import { OperationalError } from '../operational-error.js';
import { readBuildIdentity } from './build-identity.js';
import { ProcessChannel } from './process-channel.js';
import type { FailedNote, PlaceBody, PlaceReply } from './worker-messages.js';

/** Longer than an OSD may take to answer, so that only one that hangs is ended for it. */
const STEP_WITHIN_MS = 30_000;
const RESPAWN_DELAY_MS = 100;
const RESPAWN_DELAY_MAX_MS = 5000;
/** A worker that lived for so long may be replaced at once. */
const STEADY_AFTER_MS = 10_000;
const START_WITHIN_MS = 60_000;
const END_WITHIN_MS = 2000;
/** A worker that serves tells its figures every second. Looks, not time, are counted: this process may have been stopped itself. */
const HEARD_EVERY_MS = 5000;
const UNHEARD_MAX = 6;

export interface WorkerPoolOptions {
  readonly count: number;
  /** Of the mirror set. */
  readonly generator: GeneratorId;
  readonly setId: string;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

interface Running {
  readonly worker: Worker;
  readonly peer: Peer;
  readonly startedMs: number;
  /** Looks since it was heard of last. */
  unheard: number;
}

/** A supervisor starts the gateway again, then as the new one. */
function otherBuild(): OperationalError {
  return new OperationalError(
    'other-build',
    EXIT.unavailable,
    'The program was replaced below the running gateway, whose next worker would be another build: the gateway ends, and has to be started again.',
  );
}

export class WorkerPool {
  readonly fleet: WorkerFleet;
  readonly figures = new SummedS3Figures();
  readonly #options: WorkerPoolOptions;
  /** What the gateway itself runs. */
  readonly #build = readBuildIdentity();
  readonly #running = new Map<number, Running>();
  readonly #listening = new Set<number>();
  #respawnDelayMs = RESPAWN_DELAY_MS;
  #hearing: NodeJS.Timeout | undefined;
  #isEnding = false;
  #allListen: () => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    const { count, generator } = options;
    this.fleet = new WorkerFleet({
      generators: generatorsOfWriters(generator, count),
      stepWithinMs: STEP_WITHIN_MS,
      onStuck: (index) => {
        this.#endStuck(index);
      },
    });
  }

  /** Resolves when all of them serve. Rejects with OperationalError when one can't. Precondition: the fleet serves a mirror set. */
  async start(): Promise<void> {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ serialization: 'advanced' });
    const started = new Promise<void>((resolve, reject) => {
      this.#allListen = resolve;
      this.#failed = reject;
    });
    for (let index = 0; index < this.#options.count; index += 1) this.#spawn(index);
    const timer = setTimeout(() => {
      this.#failed(
        new OperationalError('workers-silent', EXIT.unavailable, 'The workers of the gateway do not start.'),
      );
    }, START_WITHIN_MS);
    await started.finally(() => {
      clearTimeout(timer);
    });
    this.#hearing = setInterval(() => {
      this.#listen();
    }, HEARD_EVERY_MS);
  }

  #spawn(index: number): void {
    const { logger, setId } = this.#options;
    const worker = cluster.fork();
    const peer = new Peer(`worker ${index}`, new ProcessChannel(worker));
    const running: Running = { worker, peer, startedMs: performance.now(), unheard: 0 };
    this.#running.set(index, running);
    peer.serve<PlaceBody>('place', ({ build }): PlaceReply => {
      if (build !== this.#build) this.#options.onFatal(otherBuild());
      const { generators, state } = this.fleet;
      return { index, generators, setId, state };
    });
    peer.serve<null>('joined', () => {
      this.fleet.join(index, peer);
    });
    peer.serve<null>('listening', () => {
      this.#listening.add(index);
      if (this.#listening.size === this.#options.count) this.#allListen();
    });
    peer.serve<S3FiguresSnapshot>('figures', (snapshot) => {
      running.unheard = 0;
      this.figures.take(index, snapshot);
    });
    peer.serve<FailedNote>('failed', ({ code, exitCode, message }) => {
      logger.error({ index, code }, message);
      this.#failed(new OperationalError(code, exitCode, message));
    });
    worker.process.on('error', (error) => {
      this.#failed(error);
    });
    worker.process.on('exit', (code, signal) => {
      peer.close();
      this.#takeEnd(index, code, signal);
    });
    logger.info({ index, processId: worker.process.pid }, 'a worker of the gateway was started');
  }

  #endStuck(index: number): void {
    this.#options.logger.error({ index }, 'a worker of the gateway hangs; it is ended');
    this.#running.get(index)?.worker.process.kill('SIGKILL');
  }

  #listen(): void {
    for (const [index, running] of this.#running) {
      if (!this.#listening.has(index)) continue;
      running.unheard += 1;
      if (running.unheard > UNHEARD_MAX) this.#endStuck(index);
    }
  }

  #takeEnd(index: number, code: number | null, signal: NodeJS.Signals | null): void {
    const ended = this.#running.get(index);
    this.#running.delete(index);
    this.#listening.delete(index);
    this.figures.end(index);
    if (this.#isEnding) return;
    const { logger, onFatal } = this.#options;
    if (code === EXIT.bug) {
      onFatal(new Error(`worker ${index} of the gateway has ended by a bug; its log says which`));
      return;
    }
    const livedMs = performance.now() - (ended?.startedMs ?? 0);
    this.#respawnDelayMs =
      livedMs > STEADY_AFTER_MS ? RESPAWN_DELAY_MS : Math.min(this.#respawnDelayMs * 2, RESPAWN_DELAY_MAX_MS);
    logger.error({ index, code, signal }, 'a worker of the gateway has ended; another one takes its place');
    setTimeout(() => {
      if (!this.#isEnding) this.#spawn(index);
    }, this.#respawnDelayMs);
  }

  /** Its answers say from now on that connections end. */
  noteStopping(): void {
    for (const { peer } of this.#running.values()) peer.note('stopping', null);
  }

  /** No request gets in; those that are served have so long to end. */
  async stopServing(drainMs: number): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#hearing);
    this.fleet.end();
    this.noteStopping();
    await Promise.all(
      [...this.#running.values()].map(({ peer }) =>
        peer.call('stop-serving', drainMs).catch(() => undefined),
      ),
    );
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.fleet.end();
    const ends = [...this.#running.values()].map(async ({ worker, peer }) => {
      const exited = new Promise<void>((resolve) => {
        worker.process.once('exit', () => {
          resolve();
        });
      });
      peer.note('end', null);
      const late = new AbortController();
      await Promise.race([
        exited,
        sleep(END_WITHIN_MS, undefined, { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
      worker.process.kill('SIGKILL');
    });
    await Promise.all(ends);
  }
}
