/** `tally health`: asks the service of this configuration whether it is alive. */
import { localUrl } from './address.js';
import { type Configuration, setOfMember } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { fetchTrusting } from './open-tls.js';
import { OperationalError } from './operational-error.js';
import { placeOfOsd } from './osd-place.js';

const ANSWER_WITHIN_MS = 3000;

/** With TLS: the one that its certificate is for. */
function urlOfOsd(configuration: Configuration, name: string): string {
  const { listen } = placeOfOsd(configuration);
  if (configuration.tls.osd === null) return localUrl(listen);
  return setOfMember(configuration, name)?.member.url ?? localUrl(listen, true);
}

/** Resolves when it is; throws OperationalError when it is not. */
export async function checkHealth(configuration: Configuration): Promise<ExitCode> {
  const { admin, osd, tls } = configuration;
  const url = `${osd.name === null ? admin.url : urlOfOsd(configuration, osd.name)}/health/live`;
  const fetchFrom =
    osd.name === null
      ? await fetchTrusting(tls.adminClient, 'admin.caFile')
      : await fetchTrusting(tls.osdClient, 'mirrorSet.caFile');
  let status: number;
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    status = (await fetchFrom(url, { method: 'GET', headers: {}, signal })).status;
  } catch (error) {
    throw new OperationalError('not-alive', EXIT.unavailable, `Nobody answers at ${url}.`, { cause: error });
  }
  if (status !== 200) throw new OperationalError('not-alive', EXIT.unavailable, `${url} answered ${status}.`);
  process.stdout.write('live\n');
  return EXIT.ok;
}
