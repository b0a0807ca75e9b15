/** How an OSD is reached: over TCP, over a socket of the same machine, or over TLS. */
import type { OnReadOpts } from 'node:net';
import type { TlsSource } from '../tls/watched-tls.js';
import { makeConnector, makeLocalConnector } from './connector.js';
import { parseOsdUrl } from './osd-url.js';

export interface OsdPlaces {
  readonly url: string;
  /** A unix socket at which the same OSD can be had, if it runs on this machine. Not for https:// URLs. */
  readonly socketPath?: string | null;
  /** For https:// URLs: whom to trust, and the certificate to show. Default: whom node trusts, and none. */
  readonly tls?: TlsSource | null;
  readonly connectMs: number;
}

export interface WayToOsd {
  readonly origin: string;
  readonly host: string;
  /** What makes connections; those without TLS put what they read where they are told. */
  readonly connect: (reading?: OnReadOpts) => ReturnType<typeof makeConnector>;
}

/** Connects nowhere yet. Throws RangeError for a URL that is none of an OSD, and for a socket beside an https:// URL. */
export function wayTo({ url, socketPath: localPath = null, connectMs, tls = null }: OsdPlaces): WayToOsd {
  const { origin, socketPath } = parseOsdUrl(url);
  const { host } = new URL(origin);
  if (localPath !== null && origin.startsWith('https:')) throw new RangeError('a unix socket has no TLS');
  if (origin.startsWith('https:')) {
    // One for all: it knows the sessions that were agreed on. What comes over TLS is in buffers of its own anyway.
    const secure = makeConnector({ timeoutMs: connectMs, socketPath }, tls);
    return { origin, host, connect: () => secure };
  }
  const connect = (reading?: OnReadOpts): ReturnType<typeof makeConnector> => {
    const options = { timeoutMs: connectMs, ...(reading !== undefined && { reading }) };
    const direct = makeConnector({ ...options, socketPath }, tls);
    return localPath === null ? direct : makeLocalConnector({ ...options, socketPath: localPath }, direct);
  };
  return { origin, host, connect };
}
