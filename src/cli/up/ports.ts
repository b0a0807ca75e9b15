/** Are the addresses free that the services are about to listen at? Asked first, to say it once and in plain words. */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, formatAddress } from '../address.js';
import { EXIT } from '../exit-codes.js';
import { OperationalError } from '../operational-error.js';
import { listenError, systemCodeOf } from '../system-error.js';
import { PREDECESSOR_POLL_MS } from '../timeouts.js';

export interface WantedAddress {
  readonly what: string;
  readonly address: Address;
  /** The flag that chooses another port. */
  readonly flag: string;
}

export async function isTaken({ what, address }: WantedAddress): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: address.host, port: address.port, exclusive: true }, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
    return false;
  } catch (error) {
    if (systemCodeOf(error) === 'EADDRINUSE') return true;
    throw listenError(error, what, formatAddress(address));
  }
}

/** Throws OperationalError `port-taken` when one is still taken after `patienceMs`. */
export async function requireFreePorts(wanted: readonly WantedAddress[], patienceMs: number): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const taken: WantedAddress[] = [];
    for (const candidate of wanted) if (await isTaken(candidate)) taken.push(candidate);
    if (taken.length === 0) return;
    if (performance.now() - startMs > patienceMs) throw portsTaken(taken);
    await sleep(PREDECESSOR_POLL_MS);
  }
}

function portsTaken(taken: readonly WantedAddress[]): OperationalError {
  const places = taken.map(({ what, address }) => `${formatAddress(address)} (${what})`).join(', ');
  const flags = [...new Set(taken.map(({ flag }) => flag))].join(' and ');
  return new OperationalError(
    'port-taken',
    EXIT.unavailable,
    `Somebody else listens at ${places}: stop that, or choose another port with ${flags}.`,
  );
}
