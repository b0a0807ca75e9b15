import type { Address } from './address.js';

interface ListenOptions extends Address {
  readonly listenTextResolver: (url: string) => string;
}

/** For a fastify server's `listen`. What it logs says https where that is spoken: TLS is below fastify here, which knows nothing of it. */
export function listenAt({ host, port }: Address, what: string, isTls: boolean): ListenOptions {
  const said = (url: string): string => (isTls ? url.replace(/^http:/, 'https:') : url);
  return { host, port, listenTextResolver: (url) => `${what} listens at ${said(url)}` };
}
