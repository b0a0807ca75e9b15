import type { Holder } from './folder-socket.js';

export interface ReadyService {
  readonly name: string;
  readonly url: string;
  readonly detail: string;
  readonly joined: Holder | null;
}

/** The one line that a service prints for people. Everything else goes to its log. */
export function announceReady({ name, url, detail, joined }: ReadyService): void {
  const fate =
    joined === null
      ? 'Ctrl-C stops it'
      : `it stops together with ${joined.command}, process ${joined.processId}`;
  process.stdout.write(`${name} is ready at ${url} (process ${process.pid}, ${detail}; ${fate})\n`);
}
