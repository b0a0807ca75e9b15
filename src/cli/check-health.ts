/** `tally health`: asks the service of this configuration whether it is alive. */
import { localUrl } from './address.js';
import type { Configuration } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { placeOfOsd } from './osd-place.js';

const ANSWER_WITHIN_MS = 3000;

/** Resolves when it is; throws OperationalError when it is not. */
export async function checkHealth(configuration: Configuration): Promise<ExitCode> {
  const { admin, osd } = configuration;
  const base = osd.name === null ? admin.url : localUrl(placeOfOsd(configuration).listen);
  const url = `${base}/health/live`;
  let status: number;
  try {
    status = (await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })).status;
  } catch (error) {
    throw new OperationalError('not-alive', EXIT.unavailable, `Nobody answers at ${url}.`, { cause: error });
  }
  if (status !== 200) throw new OperationalError('not-alive', EXIT.unavailable, `${url} answered ${status}.`);
  process.stdout.write('live\n');
  return EXIT.ok;
}
