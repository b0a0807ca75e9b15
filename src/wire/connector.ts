/**
 * How undici opens a connection: over TCP, a unix socket, or TLS with the certificates that are in use at that moment; or over a socket
 * while there is somebody at it, and TCP otherwise.
 */
import type { OnReadOpts } from 'node:net';
import type { buildConnector as Building } from 'undici';
import makeBuilder from 'undici/lib/core/connect.js';
import { secureContextOf, type TlsMaterial } from '../tls/tls-material.js';
import type { TlsSource } from '../tls/watched-tls.js';

export interface ConnectorOptions {
  readonly timeoutMs: number;
  /** Null: over TCP. */
  readonly socketPath: string | null;
  /** Where the sockets put what they read; by default it comes as their data. */
  readonly reading?: OnReadOpts;
}

/** Opens one connection. */
export type Connect = (onOutcome: Building.Callback) => void;

/** The server's certificate must name the host of the URL. */
export function makeConnector(
  { timeoutMs, socketPath, reading }: ConnectorOptions,
  tls: TlsSource | null,
): Building.connector {
  const path = socketPath === null ? {} : { socketPath };
  const build = (material: TlsMaterial | null): Building.connector =>
    makeBuilder({
      timeout: timeoutMs,
      ...(reading !== undefined && { onread: reading }),
      ...path,
      ...(material === null ? { minVersion: 'TLSv1.2' } : secureContextOf(material)),
    });
  if (tls === null) return build(null);
  let built = { material: tls.material, connect: build(tls.material) };
  return (options, callback) => {
    const { material } = tls;
    // A new one also forgets the sessions that were agreed on with the certificates before.
    if (material !== built.material) built = { material, connect: build(material) };
    built.connect(options, callback);
  };
}

/** What connecting says when this machine has no such socket, nobody at it, or none that this process may use. */
const NOBODY_THERE = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EACCES', 'EAGAIN']);

/**
 * Over `socketPath` where somebody listens there, over `otherwise` where nobody does: the OSD is on another machine, or was started without
 * it. Looked at anew for each connection.
 */
export function makeLocalConnector(
  options: ConnectorOptions & { readonly socketPath: string },
  otherwise: Building.connector,
): Building.connector {
  const locally = makeConnector(options, null);
  return (options, callback) => {
    locally(options, (...outcome) => {
      const [error] = outcome;
      const isNobodyThere = error !== null && 'code' in error && NOBODY_THERE.has(String(error.code));
      if (isNobodyThere) otherwise(options, callback);
      else callback(...outcome);
    });
  };
}
