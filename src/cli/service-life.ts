/**
 * The life of a service process: it starts, serves until somebody asks it to stop, drains, and ends.
 *
 * - SIGTERM, SIGINT (Ctrl-C), SIGHUP, or the `tally up` that it has joined: a clean stop, exit code 0. From that moment it says that it is
 *   not ready, and closes connections that answer. After SIGTERM, which is what supervisors send, it goes on serving for `delayMs` first,
 *   so that load balancers look and turn away.
 * - A second SIGINT or SIGTERM, or a stop that takes longer than `stopWithinMs`: the end, at once.
 * - A bug (broken invariant, an error that nobody caught): logged as fatal, exit code 70, no clean stop: what is on disk
 *   is what recovery builds on, and a process that is wrong must not write on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { setUpEngine, settleHeap } from './engine.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { explainError } from './explain-error.js';

export interface RunningService {
  /** Drains and closes everything. */
  stop(): Promise<void>;
}

export interface ServiceContext {
  readonly logger: Logger;
  /** Ends the process. For our bugs, and for what leaves nothing to do. */
  readonly onFatal: (error: unknown) => void;
  /** Asks for a clean stop. */
  readonly requestStop: (reason: string) => void;
  /** It was asked to stop: it is not ready any more. */
  readonly isStopping: () => boolean;
}

export interface ServiceLifeOptions {
  readonly logger: Logger;
  /** Between SIGTERM and the stop. */
  readonly delayMs: number;
  readonly stopWithinMs: number;
  readonly start: (context: ServiceContext) => Promise<RunningService>;
}

/** What a person types (Ctrl-C) is done at once. */
const DELAYED_SIGNAL = 'SIGTERM';
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Resolves with the exit code after a clean stop. Rejects when the start fails. */
export async function liveAsService(options: ServiceLifeOptions): Promise<ExitCode> {
  const { logger, delayMs, stopWithinMs, start } = options;
  setUpEngine();
  const endNow = (error: unknown): never => {
    const { message, exitCode } = explainError(error);
    logger.fatal({ err: error }, message);
    process.stderr.write(`${message}\n`);
    process.exit(exitCode);
  };
  let stopReason: string | null = null;
  let wakeUp: () => void = () => undefined;
  const stopWanted = new Promise<void>((resolve) => {
    wakeUp = resolve;
  });
  const requestStop = (reason: string): void => {
    if (stopReason !== null) return;
    stopReason = reason;
    logger.info({ reason }, 'stopping');
    wakeUp();
  };
  process.on('uncaughtException', endNow);
  process.on('unhandledRejection', endNow);
  // Whoever read our output may be gone; that is no reason to die.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      if (stopReason !== null && signal !== 'SIGHUP') {
        logger.warn({ signal }, 'stopped at once');
        process.exit(EXIT.interrupted);
      }
      requestStop(signal);
    });
  }
  const isStopping = (): boolean => stopReason !== null;
  const isDelayed = (): boolean => stopReason === DELAYED_SIGNAL;
  const service = await start({ logger, onFatal: endNow, requestStop, isStopping });
  settleHeap();
  await stopWanted;
  if (isDelayed()) await sleep(delayMs);
  const deadline = setTimeout(() => {
    logger.error({ stopWithinMs }, 'the clean stop took too long');
    process.exit(EXIT.unavailable);
  }, stopWithinMs);
  await service.stop();
  clearTimeout(deadline);
  logger.info({ reason: stopReason }, 'stopped');
  return EXIT.ok;
}

/** Requests in flight may go on for so long; then their connections are cut. */
export async function closeWithin(server: FastifyInstance, drainMs: number): Promise<void> {
  const closed = server.close();
  const timer = setTimeout(() => {
    server.server.closeAllConnections();
  }, drainMs);
  await closed;
  clearTimeout(timer);
}
