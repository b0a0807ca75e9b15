/**
 * The files that a configuration names, as the services will read them: what is there must be what it should be. What is not there is
 * told and no fault, because one configuration is often that of several machines, and not each has every file.
 */
import { readTlsMaterial, type TlsFiles, TlsFault } from '../tls/tls-material.js';
import type { Configuration } from './configuration.js';
import { EXIT } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import {
  readAdminTokens,
  readFurtherKeys,
  readMasterKeys,
  readMetricsToken,
  readS3Keys,
  readSetSecrets,
} from './secrets.js';
import { systemCodeOf } from './system-error.js';

interface Reading {
  /** Nobody asked for it: the first start makes what is missing. */
  readonly isDefault: boolean;
  readonly read: () => Promise<unknown>;
}

function readings(configuration: Configuration): readonly Reading[] {
  const { mirrorSet, furtherSets, admin, credentials } = configuration;
  const isDefault = (source: object): boolean => 'isDefault' in source && source.isDefault === true;
  return [
    ...[mirrorSet, ...furtherSets].map(({ secret }) => ({
      isDefault: isDefault(secret),
      read: () => readSetSecrets(secret),
    })),
    { isDefault: isDefault(admin.token), read: () => readAdminTokens(configuration) },
    { isDefault: isDefault(credentials), read: () => readS3Keys(configuration) },
    { isDefault: false, read: () => readFurtherKeys(configuration) },
    { isDefault: false, read: () => readMasterKeys(configuration) },
    { isDefault: false, read: () => readMetricsToken(configuration) },
  ];
}

const TLS_USES: readonly (readonly [keyof Configuration['tls'], string])[] = [
  ['s3', 's3.tls'],
  ['admin', 'admin.tls'],
  ['osd', 'osd.tls'],
  ['osdClient', 'mirrorSet'],
  ['adminClient', 'admin.caFile'],
];

/** Null: all is well. */
async function missingTls(files: TlsFiles, setting: string): Promise<string | null> {
  try {
    const { identity } = await readTlsMaterial(files);
    if (identity === null || identity.validUntilMs > Date.now()) return null;
    const until = new Date(identity.validUntilMs).toISOString();
    throw new TlsFault(`the certificate in ${files.certFile} has expired (${until})`);
  } catch (error) {
    if (!(error instanceof TlsFault)) throw error;
    if (systemCodeOf(error.cause) === 'ENOENT') return `${setting}: ${error.message}.`;
    throw new OperationalError(error.code, EXIT.configuration, `${setting}: ${error.message}.`, {
      cause: error,
    });
  }
}

/** A sentence for each that is not there. Throws OperationalError for one that is there and no good. */
export async function missingFiles(configuration: Configuration): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const { isDefault, read } of readings(configuration)) {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof OperationalError) || error.code !== 'secret-missing') throw error;
      if (!isDefault) missing.add(error.message);
    }
  }
  for (const [name, setting] of TLS_USES) {
    const files = configuration.tls[name];
    const told = files === null ? null : await missingTls(files, setting);
    if (told !== null) missing.add(told);
  }
  return [...missing];
}
