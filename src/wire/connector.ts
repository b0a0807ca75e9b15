/** How undici opens a connection: over TCP, a unix socket, or TLS with the certificates that are in use at that moment. */
import { buildConnector } from 'undici';
import { secureContextOf, type TlsMaterial } from '../tls/tls-material.js';
import type { TlsSource } from '../tls/watched-tls.js';

/** The server's certificate must name the host of the URL. */
export function makeConnector(
  timeoutMs: number,
  socketPath: string | null,
  tls: TlsSource | null,
): buildConnector.connector {
  const path = socketPath === null ? {} : { socketPath };
  const build = (material: TlsMaterial | null): buildConnector.connector =>
    buildConnector({
      timeout: timeoutMs,
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
