/** The part of the configuration that says which certificate each port shows, and whom each connection trusts. */
import type { TlsFiles } from '../tls/tls-material.js';
import { fail } from './configuration-fault.js';
import type { ConfigurationLayer } from './configuration-schema.js';

/** Null: plain HTTP; for a client: what node trusts, and no certificate. */
export interface TlsSettings {
  readonly s3: TlsFiles | null;
  readonly admin: TlsFiles | null;
  readonly osd: TlsFiles | null;
  /** Of gateway and OSDs when they call OSDs. */
  readonly osdClient: TlsFiles | null;
  /** Of the commands when they call the admin API. */
  readonly adminClient: TlsFiles | null;
}

interface ServerSection {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
}

function serverFiles(section: ServerSection | undefined): TlsFiles | null {
  if (section === undefined) return null;
  const { certFile, keyFile, clientCaFile = null } = section;
  return { certFile, keyFile, caFile: clientCaFile };
}

function osdClientFiles({ mirrorSet, furtherSets }: ConfigurationLayer): TlsFiles | null {
  const { caFile = null, certFile = null, keyFile = null } = mirrorSet ?? {};
  if ((certFile === null) !== (keyFile === null))
    fail('mirrorSet: give both certFile and keyFile, or neither.', [
      'mirrorSet',
      certFile === null ? 'keyFile' : 'certFile',
    ]);
  if (caFile === null && certFile === null) return null;
  const members = [mirrorSet, ...(furtherSets ?? [])].flatMap((set) => set?.members ?? []);
  if (!members.some(({ url }) => url.startsWith('https://')))
    fail('mirrorSet has certificates (caFile, certFile), but no member has an https:// URL.', [
      'mirrorSet',
      caFile === null ? 'certFile' : 'caFile',
    ]);
  return { certFile, keyFile, caFile };
}

function adminClientFiles({ admin }: ConfigurationLayer): TlsFiles | null {
  if (admin?.caFile === undefined) return null;
  const isSecure = admin.url?.startsWith('https://') ?? admin.tls !== undefined;
  if (!isSecure)
    fail('admin.caFile is given, but the URL of the admin API is no https:// URL.', ['admin', 'caFile']);
  return { certFile: null, keyFile: null, caFile: admin.caFile };
}

/** Throws OperationalError. */
export function tlsSettings(layer: ConfigurationLayer): TlsSettings {
  return {
    s3: serverFiles(layer.s3?.tls),
    admin: serverFiles(layer.admin?.tls),
    osd: serverFiles(layer.osd?.tls),
    osdClient: osdClientFiles(layer),
    adminClient: adminClientFiles(layer),
  };
}
