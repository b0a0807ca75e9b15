import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TlsFiles } from '../../../src/tls/tls-material.js';
import { HttpOsdConnection } from '../../../src/wire/http-osd-connection.js';
import { OsdUnreachable } from '../../../src/wire/osd-connection.js';
import { describeOsdConnection } from '../../conformance/osd-connection.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { TestAuthority } from '../../support/certificates.js';
import { until } from '../../support/patience.js';
import { TlsRig } from '../tls/tls-rig.js';
import { type RunningOsd, startOsd, TIMEOUTS } from './osd-harness.js';
import { SECRET, SET_ID } from './osd-writer.js';

describeOsdConnection('HttpOsdConnection over mutual TLS', async () => {
  const rig = new TlsRig();
  const authority = new TestAuthority(rig.folder, 'ca');
  const server = await rig.watch(authority.mutual('osd'));
  const client = await rig.watch(authority.mutual('gateway'));
  const tls = { server: { source: server, logger: rig.logger }, client };
  const running = await startOsd(new MemoryOsdStore(SET_ID, 1), { tls });
  return {
    connection: running.connection,
    close: async () => {
      await running.close();
      await rig.close();
    },
  };
});

describe('an OSD that asks for certificates', () => {
  let rig: TlsRig;
  let authority: TestAuthority;
  let osd: RunningOsd;
  let osdFiles: TlsFiles;
  let connections: HttpOsdConnection[];

  beforeEach(async () => {
    rig = new TlsRig();
    connections = [];
    authority = new TestAuthority(rig.folder, 'ca');
    osdFiles = authority.mutual('osd');
    const server = await rig.watch(osdFiles, 'osd');
    const client = await rig.watch(authority.mutual('gateway'));
    osd = await startOsd(new MemoryOsdStore(SET_ID, 1), {
      tls: { server: { source: server, logger: rig.logger }, client },
    });
  });

  afterEach(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await osd.close();
    await rig.close();
  });

  async function callAs(files: TlsFiles | null, url = osd.url): Promise<string> {
    const tls = files === null ? null : await rig.watch(files);
    const connection = new HttpOsdConnection({ url, secret: SECRET, timeouts: TIMEOUTS, tls });
    connections.push(connection);
    try {
      return (await connection.identity()).setId;
    } catch (error) {
      if (error instanceof OsdUnreachable) return `unreachable: ${error.message}`;
      throw error;
    }
  }

  it('answers whoever shows one of the right authority', async () => {
    expect(await callAs(authority.mutual('peer'))).toBe(SET_ID);
  });

  it.each<[string, () => TlsFiles | null]>([
    ['no certificate', () => authority.trusting],
    [
      'one of another authority',
      () => ({ ...new TestAuthority(rig.folder, 'other').issue('stranger'), caFile: authority.caFile }),
    ],
  ])('refuses whoever shows %s, although the secret is right', async (_what, files) => {
    expect(await callAs(files())).toMatch(/^unreachable/);
    expect(rig.lines.map(({ message }) => message)).toContain('a TLS handshake failed');
  });

  it('is refused by whoever does not trust its authority, before the secret is sent', async () => {
    expect(await callAs(null)).toMatch(/unable to verify|self-signed/);
    const other = new TestAuthority(rig.folder, 'other');
    const stranger = { ...authority.issue('peer'), caFile: other.caFile };
    expect(await callAs(stranger)).toMatch(/unable to verify|self-signed|unable to get/);
  });

  it('is refused when its certificate is that of another host', async () => {
    const peer = authority.mutual('peer');
    const url = osd.url.replace('127.0.0.1', 'localhost');
    expect(await callAs(peer, url)).toMatch(/does not match certificate|altnames/);
  });

  it('can move to another authority without a restart', async () => {
    const next = new TestAuthority(rig.folder, 'next');
    const { certFile, keyFile } = next.issue('osd-next');
    copyFileSync(certFile, osdFiles.certFile ?? '');
    copyFileSync(keyFile, osdFiles.keyFile ?? '');
    copyFileSync(next.caFile, authority.caFile);
    const peer = { ...next.issue('peer-next'), caFile: next.caFile };
    const look = () => callAs(peer);
    const answer = await until('the new authority counts', look, (found) => found === SET_ID, {
      withinMs: 10_000,
    });
    expect(answer).toBe(SET_ID);
  });
});
