/**
 * Where an OSD listens:
 *
 *   http://host:port   https://host:port        TCP
 *   unix:/run/osd.sock   http+unix:/run/osd.sock   http+unix://%2Frun%2Fosd.sock      a unix socket, absolute path
 */
export interface OsdAddress {
  readonly origin: string;
  /** Null for TCP. */
  readonly socketPath: string | null;
}

const UNIX_PATTERN = /^(?:unix|http\+unix):(?:\/\/)?(.+)$/;

/** Throws RangeError for anything else, also for a URL with a path, a query or a password. */
export function parseOsdUrl(url: string): OsdAddress {
  const unixPath = UNIX_PATTERN.exec(url)?.[1];
  if (unixPath !== undefined) {
    const socketPath = unixPath.replaceAll(/%2F/gi, '/');
    if (!socketPath.startsWith('/')) throw new RangeError(`a unix socket's path is absolute: ${url}`);
    return { origin: 'http://localhost', socketPath };
  }
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new RangeError(`not the URL of an OSD: ${url.slice(0, 256)}`);
  }
  if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '' || parsed.username !== '') {
    throw new RangeError('the URL of an OSD has neither path, query nor user');
  }
  return { origin: parsed.origin, socketPath: null };
}
