/** When the certificates that a service uses expire. */
import type { Exposition } from './exposition.js';

export interface CertificateExpiry {
  /** What it is for, such as "the S3 endpoint". */
  readonly use: string;
  /** Unix ms. */
  readonly expiresMs: number;
}

export function addCertificates(exposition: Exposition, read: () => Iterable<CertificateExpiry>): void {
  exposition.gauge(
    {
      name: 'tally_certificate_expiry_timestamp_seconds',
      help: 'When the certificate that is shown there expires, Unix time.',
      labels: ['use'],
    },
    () => Array.from(read(), ({ use, expiresMs }) => ({ labels: { use }, value: expiresMs / 1000 })),
  );
}
