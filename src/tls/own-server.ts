/**
 * Connects to a server of this very process. It must show the very certificate that we gave to it; which authority that is of,
 * and which host it names, does not matter.
 */
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { TlsSource } from './watched-tls.js';

export interface OwnAddress {
  readonly host: string;
  readonly port: number;
}

/** As node's `createConnection` wants it. Nothing is sent before the certificate is known. */
export function connectToOwnServer(
  address: OwnAddress,
  { material }: TlsSource,
  onSocket: (error: Error | null, socket: Duplex) => void,
): void {
  const socket = connect({ ...address, rejectUnauthorized: false });
  const fail = (error: Error): void => {
    socket.destroy();
    onSocket(error, socket);
  };
  socket.once('error', fail);
  socket.once('secureConnect', () => {
    socket.off('error', fail);
    const shown = socket.getPeerX509Certificate()?.raw;
    const { identity } = material;
    if (identity !== null && shown?.equals(new X509Certificate(identity.cert).raw) === true) {
      onSocket(null, socket);
    } else fail(new Error('another server than our own answers there'));
  });
}
