/** Certificates in a folder of the test's own, and sources that watch them closely. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFiles } from '../../../src/tls/tls-material.js';
import { type TlsLogger, WatchedTls } from '../../../src/tls/watched-tls.js';

export const POLL_MS = 10;

interface Line {
  readonly level: keyof TlsLogger;
  readonly message: string;
}

export class TlsRig {
  readonly folder = mkdtempSync(join(tmpdir(), 'tally-tls-'));
  readonly lines: Line[] = [];
  readonly logger: TlsLogger = {
    info: (_facts, message) => void this.lines.push({ level: 'info', message }),
    warn: (_facts, message) => void this.lines.push({ level: 'warn', message }),
    error: (_facts, message) => void this.lines.push({ level: 'error', message }),
  };
  nowMs = Date.now();
  readonly #open: WatchedTls[] = [];

  async watch(files: TlsFiles, use = 'the test'): Promise<WatchedTls> {
    const clock = () => this.nowMs;
    const watched = await WatchedTls.open({ files, use, logger: this.logger, clock, pollMs: POLL_MS });
    this.#open.push(watched);
    return watched;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((watched) => watched.stop()));
    rmSync(this.folder, { recursive: true });
  }
}
