/** `tally reconcile`: starts a reconciliation, and with `--wait` shows it to its end; or changes the pace of copying. */
import type { AdminOperation, AdminPaceChange, AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { describeEnd, describePace, describeProgress } from './reconcile-text.js';
import { isAllInSync, summarize } from './status-table.js';
import { WorkDisplay } from './work-display.js';

export interface ReconcileOptions {
  readonly isJson: boolean;
  readonly waits: boolean;
}

/** Starts nothing: copying that runs, and all that comes, goes on at that pace. */
export async function changePace(
  client: AdminClient,
  change: AdminPaceChange,
  { isJson }: Pick<ReconcileOptions, 'isJson'>,
): Promise<ExitCode> {
  const pace = await client.setPace(change);
  const text = `Copying while clients write: ${describePace(pace)}.`;
  process.stdout.write(`${isJson ? JSON.stringify(pace, null, 2) : text}\n`);
  return EXIT.ok;
}

export async function reconcile(client: AdminClient, options: ReconcileOptions): Promise<ExitCode> {
  const started = await client.reconcile();
  const { operation, isNew } = started;
  if (!options.waits) {
    const text = isNew
      ? `Reconciliation ${operation.id} has started.`
      : `Reconciliation ${operation.id} is running.`;
    print(
      options,
      operation,
      `${text} "tally status --watch" shows it, "tally reconcile --wait" waits for it.`,
    );
    return EXIT.ok;
  }
  const ended = await follow(client, operation, options);
  const status = await client.status();
  print(options, ended, `${describeEnd(ended)}\n${summarize(status)}`);
  return ended.state === 'done' && isAllInSync(status) ? EXIT.ok : EXIT.notInSync;
}

function print({ isJson }: ReconcileOptions, operation: AdminOperation, text: string): void {
  process.stdout.write(`${isJson ? JSON.stringify(operation, null, 2) : text}\n`);
}

function requireEnded(operation: AdminOperation): AdminOperation {
  if (operation.state !== 'running') return operation;
  throw new OperationalError(
    'gateway-gone',
    EXIT.unavailable,
    'The gateway went away before the reconciliation ended.',
  );
}

async function follow(
  client: AdminClient,
  started: AdminOperation,
  { isJson }: ReconcileOptions,
): Promise<AdminOperation> {
  const display = new WorkDisplay({
    isSilent: isJson,
    whenLeft:
      'The reconciliation goes on. "tally status --watch" shows it, "tally reconcile --pause" makes copying wait.',
  });
  const startMs = performance.now();
  let last = started;
  try {
    for await (const operation of client.follow(started.id)) {
      last = operation;
      const { progress } = operation;
      if (progress === null) continue;
      const words = describeProgress(progress, performance.now() - startMs);
      display.show(progress.objectsDone, progress.objectsToDo, words);
    }
  } finally {
    display.end();
  }
  return requireEnded(last);
}
