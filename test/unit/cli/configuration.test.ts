import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/cli/configuration-file.js';
import { loadConfiguration, memberAddress, resolveConfiguration } from '../../../src/cli/configuration.js';
import { mergeLayers } from '../../../src/cli/configuration-layers.js';
import { readEnvironment } from '../../../src/cli/environment.js';
import { layerOfFlags } from '../../../src/cli/flags.js';
import { placeOfOsd } from '../../../src/cli/osd-place.js';
import { s3Credentials } from '../../../src/cli/s3-credentials.js';
import { readFurtherKeys } from '../../../src/cli/secrets.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

function faultOf(text: string): string {
  try {
    parseConfiguration(text, '/etc/tally.yaml');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no fault';
}

describe('the certificates of a configuration', () => {
  const members = 'members: [{name: osd-0, url: "https://10.0.0.1:9010"}]';

  it('have paths that are relative to the file', () => {
    const layer = parseConfiguration(
      `mirrorSet: {caFile: ca, certFile: c, keyFile: k, ${members}}
s3: {tls: {certFile: sc, keyFile: sk}}
admin: {tls: {certFile: ac, keyFile: ak}, caFile: aca}
osd: {tls: {certFile: oc, keyFile: ok, clientCaFile: oca}}
`,
      '/etc/tally/tally.yaml',
    );
    expect(resolveConfiguration(layer).tls).toEqual({
      s3: { certFile: '/etc/tally/sc', keyFile: '/etc/tally/sk', caFile: null },
      admin: { certFile: '/etc/tally/ac', keyFile: '/etc/tally/ak', caFile: null },
      osd: { certFile: '/etc/tally/oc', keyFile: '/etc/tally/ok', caFile: '/etc/tally/oca' },
      osdClient: { certFile: '/etc/tally/c', keyFile: '/etc/tally/k', caFile: '/etc/tally/ca' },
      adminClient: { certFile: null, keyFile: null, caFile: '/etc/tally/aca' },
    });
    expect(resolveConfiguration(layer).admin.url).toBe('https://127.0.0.1:9001');
  });

  it('come from the environment too, over the file', () => {
    const file = parseConfiguration('s3: {tls: {certFile: a, keyFile: b}}', '/etc/tally.yaml');
    const environment = readEnvironment({
      TALLY_S3_CERT_FILE: '/c',
      TALLY_S3_KEY_FILE: '/k',
      TALLY_MEMBERS: 'osd-0=https://10.0.0.1:9010',
      TALLY_SET_CA_FILE: '/ca',
      TALLY_OSD_CERT_FILE: '/oc',
      TALLY_OSD_KEY_FILE: '/ok',
      TALLY_OSD_CLIENT_CA_FILE: '/oca',
    });
    expect(resolveConfiguration(mergeLayers(file, environment)).tls).toEqual({
      s3: { certFile: '/c', keyFile: '/k', caFile: null },
      admin: null,
      osd: { certFile: '/oc', keyFile: '/ok', caFile: '/oca' },
      osdClient: { certFile: null, keyFile: null, caFile: '/ca' },
      adminClient: null,
    });
  });

  it.each<[string, string, string]>([
    ['a certificate without its key', `mirrorSet: {certFile: c, ${members}}`, 'both certFile and keyFile'],
    ['an authority that no URL needs', 'mirrorSet: {caFile: ca}', 'no member has an https:// URL'],
    ['one that the URL of the admin API does not need', 'admin: {caFile: ca}', 'no https:// URL'],
  ])('are refused: %s', (_what, text, message) => {
    expect(() => resolveConfiguration(parseConfiguration(text, '/etc/tally.yaml'))).toThrow(message);
  });

  it.each<[string, NodeJS.ProcessEnv]>([
    ['TALLY_S3_KEY_FILE', { TALLY_S3_CERT_FILE: '/c' }],
    ['TALLY_OSD_CERT_FILE', { TALLY_OSD_CLIENT_CA_FILE: '/c' }],
  ])('need %s where the environment has the rest', (name, environment) => {
    expect(() => readEnvironment(environment)).toThrow(name);
  });

  it('go with the protocol of the URL of an OSD, unless it has an address of its own', () => {
    const placeFor = (text: string) =>
      placeOfOsd(resolveConfiguration(parseConfiguration(text, '/etc/tally.yaml')));
    const plainMembers = members.replace('https', 'http');
    const tls = 'tls: {certFile: c, keyFile: k}';
    expect(() => placeFor(`mirrorSet: {${members}}\nosd: {name: osd-0}`)).toThrow('osd.tls');
    expect(() => placeFor(`mirrorSet: {${plainMembers}}\nosd: {name: osd-0, ${tls}}`)).toThrow('https://');
    expect(placeFor(`mirrorSet: {${members}}\nosd: {name: osd-0, ${tls}}`).listen.port).toBe(9010);
    const behind = placeFor(`mirrorSet: {${members}}\nosd: {name: osd-0, listen: "127.0.0.1:9"}`);
    expect(behind.listen.port).toBe(9);
  });
});

describe('a configuration file', () => {
  it.each([
    ['mirrorSet:\n  colour: red\n', '/etc/tally.yaml:2:3: there is no setting "mirrorSet.colour"'],
    ['s3:\n  listen: 9000\n', '/etc/tally.yaml:2:3: s3.listen must be text'],
    ['log:\n  level: loud\n', '/etc/tally.yaml:2:3: log.level must be one of trace, debug, info'],
    ['mirrorSet:\n  members:\n    - name: osd-0\n', '/etc/tally.yaml:3:7: mirrorSet.members.0 must have'],
    [
      'mirrorSet:\n  members:\n    - { name: "a b", url: x }\n',
      '/etc/tally.yaml:3:9: mirrorSet.members.0.name must',
    ],
    ['s3:\n  region: "a\n', '/etc/tally.yaml:3:1: not valid YAML'],
    ['s3: {}\ns3: {}\n', '/etc/tally.yaml:2:1: not valid YAML'],
    ['- a\n- b\n', '/etc/tally.yaml:1:1: the configuration must be a group of settings'],
  ])('names the line of what is wrong with %j', (text, message) => {
    expect(faultOf(text)).toContain(message);
  });

  it('has all that is wrong with it told at once, line by line, with what was probably meant', () => {
    const text = [
      'gateway: { workers: -1, wirtes: direct }',
      'mirrorSet:',
      '  secretfile: s',
      '  members: [{ name: osd-0, url: "http://a:1", sokcet: x }]',
      'admin: { tokens: [{ name: alice, role: king, tokenFile: a }] }',
      'colour: red',
      '',
    ].join('\n');
    expect(faultOf(text).split('\n')).toEqual([
      expect.stringMatching(/^\/etc\/tally\.yaml:1:12: gateway\.workers must /),
      '/etc/tally.yaml:1:25: there is no setting "gateway.wirtes"; is "writes" meant?',
      '/etc/tally.yaml:3:3: there is no setting "mirrorSet.secretfile"; is "secretFile" meant?',
      '/etc/tally.yaml:4:47: there is no setting "mirrorSet.members.0.sokcet"; is "socket" meant?',
      expect.stringMatching(/^\/etc\/tally\.yaml:5:\d+: admin\.tokens\.0\.role must be one of /),
      '/etc/tally.yaml:6:1: there is no setting "colour"',
    ]);
  });

  it.each([
    ['gateway: { workers: four }', ':1:12: gateway.workers must be a whole number'],
    ['gateway: { catchUpSharePercent: 500 }', ':1:12: gateway.catchUpSharePercent must be at most 100'],
    ['log: loud', ':1:1: log must be a group of settings'],
  ])('says of %j what must be there', (text, message) => {
    expect(faultOf(text)).toBe(`/etc/tally.yaml${message}`);
  });

  const MEMBERS = 'members:\n    - { name: osd-0, url: "http://a:1" }\n    - ';
  it.each([
    [
      `mirrorSet:\n  ${MEMBERS}{ name: osd-1, url: "htp://b:1" }`,
      ':4:22: mirrorSet.members, osd-1: not the URL',
    ],
    [
      `mirrorSet:\n  ${MEMBERS}{ name: osd-0, url: "http://b:1" }`,
      ':4:9: Two members of the mirror sets have the same name',
    ],
    [
      `mirrorSet:\n  ${MEMBERS}{ name: osd-1, url: "http://a:1" }`,
      ':4:22: Two members of the mirror sets have the same url',
    ],
    ['data: d\ns3:\n  listen: "0.0.0.0:900000"', ':3:3: s3.listen: "0.0.0.0:900000" is no address'],
    ['gateway:\n  writes: forwarded\n  workers: 3', ':3:3: gateway.workers: 3 workers issue their own tags'],
    [
      'mirrorSet:\n  id: main\npins:\n  logs: nowhere',
      ':4:3: pins, logs: there is no mirror set nowhere, but main.',
    ],
    ['admin:\n  caFile: ca.pem', ':2:3: admin.caFile is given'],
    ['credentials:\n  keys:\n    - { accessKeyId: ONE }', ':3:7: credentials.keys, ONE: give either'],
    ['admin:\n  token: a-token-of-16-chars\n  tokenFile: f', ':2:3: Give a secret itself or its file'],
    ['mirrorSet:\n  certFile: a.pem', ':2:3: mirrorSet: give both certFile and keyFile'],
  ])('names the line of what no schema sees: %j', async (text, message) => {
    const file = join(temporary(), 'tally.yaml');
    await writeFile(file, text);
    const load = loadConfiguration({ file, flags: {}, environment: {}, usesRunFile: false });
    await expect(load).rejects.toThrow(`${file}${message}`);
  });

  it('is not blamed for what is above it', async () => {
    const file = join(temporary(), 'tally.yaml');
    await writeFile(file, 's3: { listen: "127.0.0.1:1" }\n');
    const environment = { TALLY_S3_LISTEN: 'nowhere' };
    const load = loadConfiguration({ file, flags: {}, environment, usesRunFile: false });
    await expect(load).rejects.toThrow(/^s3\.listen: "nowhere" is no address/);
  });

  it('may be empty', () => {
    expect(parseConfiguration('# nothing\n', '/etc/tally.yaml')).toEqual({});
  });

  it('has paths that are relative to itself', () => {
    const layer = parseConfiguration(
      'data: here\nmirrorSet: {secretFile: s}\nadmin: {tokenFile: t}\ncredentials: {file: c}\ngateway: {authority: a}\nosd: {store: o}\nlog: {folder: l}\n',
      '/etc/tally/tally.yaml',
    );
    expect(layer).toEqual({
      data: '/etc/tally/here',
      mirrorSet: { secretFile: '/etc/tally/s' },
      admin: { tokenFile: '/etc/tally/t' },
      credentials: { file: '/etc/tally/c' },
      gateway: { authority: '/etc/tally/a' },
      osd: { store: '/etc/tally/o' },
      log: { folder: '/etc/tally/l' },
    });
  });

  it('that is not there is named in one sentence', async () => {
    const file = join(temporary(), 'missing.yaml');
    const load = loadConfiguration({ file, flags: {}, environment: {}, usesRunFile: false });
    await expect(load).rejects.toThrow(`The configuration ${file} does not exist.`);
  });
});

describe('the socket of a member', () => {
  const member = { name: 'osd-0', url: 'http://127.0.0.1:1' };

  it('is relative to the file, and stands behind the URL in the environment', () => {
    const text = `mirrorSet: { members: [{ name: osd-0, url: "${member.url}", socket: run/osd-0.sock }] }`;
    const fromFile = resolveConfiguration(parseConfiguration(text, '/etc/tally/tally.yaml'));
    expect(fromFile.mirrorSet.members).toMatchObject([{ socketPath: '/etc/tally/run/osd-0.sock' }]);
    const TALLY_MEMBERS = 'osd-0=http://a:1+unix:/run/osd-0.sock,osd-1=http://b:2';
    const members = readEnvironment({ TALLY_MEMBERS }).mirrorSet?.members;
    expect(members).toEqual([
      { name: 'osd-0', url: 'http://a:1', socket: '/run/osd-0.sock' },
      { name: 'osd-1', url: 'http://b:2' },
    ]);
  });

  it.each([
    [[{ ...member, url: 'https://a:1', socket: '/run/a.sock' }], 'a socket has no TLS'],
    [[{ ...member, socket: `/run/${'x'.repeat(103)}` }], 'at most 107 bytes'],
    [
      [
        { ...member, socket: '/run/a.sock' },
        { name: 'osd-1', url: 'http://b:2', socket: '/run/a.sock' },
      ],
      'the same socket',
    ],
  ])('%j is refused', (members, message) => {
    expect(() => resolveConfiguration({ mirrorSet: { members } })).toThrow(message);
  });
});

describe('the configuration', () => {
  it('needs no file, no environment and no flags', () => {
    const configuration = resolveConfiguration({});
    expect(configuration).toMatchObject({
      dataFolder: resolve('data'),
      s3: { listen: { host: '127.0.0.1', port: 9000 }, region: 'us-east-1', domains: [] },
      furtherKeys: [],
      credentials: { kind: 'file', path: resolve('data/secrets/credentials'), isDefault: true },
    });
    expect(configuration.admin.url).toBe('http://127.0.0.1:9001');
    expect(configuration.mirrorSet.members.map(memberAddress)).toEqual([
      { host: '127.0.0.1', port: 9010 },
      { host: '127.0.0.1', port: 9011 },
    ]);
  });

  it('takes flags over the environment over the file', async () => {
    const file = join(temporary(), 'tally.yaml');
    await writeFile(file, 's3: {listen: "1.1.1.1:1", region: file}\nadmin: {listen: "1.1.1.1:2"}\n');
    const configuration = await loadConfiguration({
      file,
      flags: layerOfFlags({ s3Listen: '3.3.3.3:3' }),
      environment: { TALLY_S3_LISTEN: '2.2.2.2:2', TALLY_ADMIN_LISTEN: '2.2.2.2:4' },
      usesRunFile: false,
    });
    expect(configuration.s3).toMatchObject({ listen: { host: '3.3.3.3', port: 3 }, region: 'file' });
    expect(configuration.admin.listen).toEqual({ host: '2.2.2.2', port: 4 });
  });

  it('a secret of a higher layer hides the one below, in whichever form', () => {
    const { mirrorSet, admin } = mergeLayers(
      { mirrorSet: { id: 'main', secret: 'low' }, admin: { tokenFile: '/low' } },
      { mirrorSet: { secretFile: '/high' }, admin: { token: 'high' } },
    );
    expect(mirrorSet).toEqual({ id: 'main', secretFile: '/high' });
    expect(admin).toEqual({ token: 'high' });
  });

  it('has further keys, each with an account and limits', async () => {
    const folder = temporary();
    await writeFile(join(folder, 'secret'), 'from-a-file\n');
    const layer = parseConfiguration(
      'credentials: {keys: [{accessKeyId: ONE, file: secret, access: read-only}, {accessKeyId: TWO, secret: as-text-it-is, ownerId: two, displayName: Two, email: a@b, buckets: [some]}]}',
      join(folder, 'tally.yaml'),
    );
    const further = await readFurtherKeys(resolveConfiguration(layer));
    const credentials = s3Credentials('set', { accessKey: 'FIRST', secretKey: 'first-secret' }, further);
    const [first, one, two] = credentials;
    expect(one).toEqual({
      ...first,
      accessKeyId: 'ONE',
      secretAccessKey: 'from-a-file',
      limits: { isReadOnly: true, buckets: null },
    });
    expect(two).toEqual({
      accessKeyId: 'TWO',
      secretAccessKey: 'as-text-it-is',
      ownerId: 'two',
      displayName: 'Two',
      email: 'a@b',
      limits: { isReadOnly: false, buckets: ['some'] },
    });
  });

  it.each([
    ['neither secret nor file', '{accessKeyId: ONE}'],
    ['both secret and file', '{accessKeyId: ONE, secret: as-text-it-is, file: f}'],
    ['one twice', '{accessKeyId: ONE, secret: as-text-it-is}, {accessKeyId: ONE, secret: as-text-it-is}'],
  ])('refuses further keys with %s', (_claim, keys) => {
    const layer = parseConfiguration(`credentials: {keys: [${keys}]}`, '/etc/tally.yaml');
    expect(() => resolveConfiguration(layer)).toThrow(/credentials\.keys/);
  });

  it('keys of the environment hide a credentials file', () => {
    const environment = readEnvironment({ TALLY_ACCESS_KEY: 'KEY', TALLY_SECRET_KEY: 'a-secret-key' });
    const { credentials } = resolveConfiguration(mergeLayers({ credentials: { file: '/low' } }, environment));
    expect(credentials).toEqual({ kind: 'keys', accessKey: 'KEY', secretKey: 'a-secret-key' });
  });

  it.each([
    [{ TALLY_ACCESS_KEY: 'KEY' }, 'both access key and secret key'],
    [{ TALLY_ACCESS_KEY: 'KEY', TALLY_SECRET_KEY: 'short' }, 'credentials.secretKey must'],
    [{ TALLY_SET_SECRET: 'a', TALLY_SET_SECRET_FILE: 'b' }, 'not both'],
    [{ TALLY_S3_LISTEN: '9000' }, 's3.listen: "9000" is no address'],
    [{ TALLY_MEMBERS: 'osd-0' }, 'TALLY_MEMBERS: name=url'],
    [{ TALLY_MEMBERS: 'a=http://h:1,a=http://h:2' }, 'same name'],
    [{ TALLY_MEMBERS: 'a=http://h:1,b=http://h:1' }, 'same url'],
    [{ TALLY_MEMBERS: 'a=ftp://h:1' }, 'mirrorSet.members, a: not the URL of an OSD'],
    [{ TALLY_LOG_LEVEL: 'loud' }, 'TALLY_LOG_LEVEL must be one of'],
  ])('refuses the environment %j', async (environment, message) => {
    const load = loadConfiguration({ file: null, flags: {}, environment, usesRunFile: false });
    await expect(load).rejects.toThrow(message);
  });

  it.each([
    [{ s3Port: 'x' }, '--s3-port needs a port'],
    [{ osdPorts: '9010,70000' }, '--osd-ports needs a port'],
    [{ logLevel: 'loud' }, '--log-level must be'],
  ])('refuses the flags %j', (flags, message) => {
    expect(() => layerOfFlags(flags)).toThrow(message);
  });

  it('is what a running "tally up" wrote, for commands that name no file', async () => {
    await writeFile(join(temporary(), 'run.yaml'), 's3: {listen: "127.0.0.1:7000"}\n');
    const request = { file: null, flags: { data: temporary() }, environment: {} };
    const used = await loadConfiguration({ ...request, usesRunFile: true });
    expect(used.s3.listen.port).toBe(7000);
    const ignored = await loadConfiguration({ ...request, usesRunFile: false });
    expect(ignored.s3.listen.port).toBe(9000);
  });
});

describe('the workers of a gateway', () => {
  it('are the gateway itself unless more are asked for; 0 is one for each core', () => {
    expect(resolveConfiguration({}).gateway.workers).toBe(1);
    expect(resolveConfiguration({ gateway: { workers: 3 } }).gateway.workers).toBe(3);
    expect(resolveConfiguration({ gateway: { workers: 0 } }).gateway.workers).toBe(availableParallelism());
  });

  it('are refused where they do not apply: with several mirror sets, and with forwarded writes', () => {
    const furtherSets = [{ id: 'second', members: [{ name: 'osd-2', url: 'http://127.0.0.1:9012' }] }];
    expect(() => resolveConfiguration({ gateway: { workers: 2 }, furtherSets })).toThrow(
      'serve one mirror set',
    );
    expect(() => resolveConfiguration({ gateway: { workers: 2, writes: 'forwarded' } })).toThrow(
      'direct writes',
    );
    expect(resolveConfiguration({ gateway: { workers: 1 }, furtherSets }).gateway.workers).toBe(1);
  });
});

describe('the place of an OSD', () => {
  it('follows from its name', () => {
    expect(placeOfOsd(resolveConfiguration({ data: '/d', osd: { name: 'osd-1' } }))).toEqual({
      name: 'osd-1',
      storeFolder: '/d/osd-1',
      socketPath: null,
      listen: { host: '127.0.0.1', port: 9011 },
    });
  });

  it('needs a name, and a member of that name unless it is told where to listen', () => {
    expect(() => placeOfOsd(resolveConfiguration({}))).toThrow('one of osd-0, osd-1');
    expect(() => placeOfOsd(resolveConfiguration({ osd: { name: 'x' } }))).toThrow('x is no member');
    const listening = resolveConfiguration({ osd: { name: 'x', listen: ':9', store: '/s' } });
    expect(placeOfOsd(listening)).toEqual({
      name: 'x',
      storeFolder: '/s',
      socketPath: null,
      listen: { host: '0.0.0.0', port: 9 },
    });
  });
});
