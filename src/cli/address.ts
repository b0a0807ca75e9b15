/** Where a server listens: `host:port`, `[::1]:port`, or `:port` for every address of the machine. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const ADDRESS_PATTERN = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]*)):(\d{1,5})$/;
const PORT_MAX = 65_535;

/** Throws RangeError for text that is no address. */
export function parseAddress(text: string): Address {
  const match = ADDRESS_PATTERN.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > PORT_MAX) {
    throw new RangeError(`"${text}" is no address to listen at: host:port is needed, such as 127.0.0.1:9000`);
  }
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '0.0.0.0' : host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The URL under which this machine itself reaches a server that listens there. */
export function localUrl({ host, port }: Address, isSecure = false): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http${isSecure ? 's' : ''}://${formatAddress({ host: reachable, port })}`;
}

/** The address that an OSD of this URL listens at. Throws RangeError for a URL without host and port. */
export function addressOfUrl(url: string): Address {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const portOfProtocol = parsed?.protocol === 'https:' ? 443 : parsed?.protocol === 'http:' ? 80 : null;
  if (parsed === null || portOfProtocol === null || parsed.hostname === '')
    throw new RangeError(`"${url}" is neither an http:// nor an https:// URL`);
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  return { host, port: parsed.port === '' ? portOfProtocol : Number(parsed.port) };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
