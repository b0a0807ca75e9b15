/**
 * What may stand in a configuration file. Everything is optional: defaults, the environment and flags fill the rest
 * (see `configuration.ts`). Paths are relative to the file.
 */
import { COPY_SHARE_PERCENT_MAX, COPY_SHARE_PERCENT_MIN } from '../protocol/pace.js';
import { WRITES_MODES } from '../protocol/forwarding.js';
import { SETS_MAX } from '../protocol/placement.js';
import { WRITERS_MAX } from '../protocol/shard.js';
import { PLAIN_HTTP_RULES } from '../s3/encryption/customer-key.js';
import Type, { type Static, type TProperties } from 'typebox';

function section<Properties extends TProperties>(properties: Properties, description: string) {
  return Type.Partial(Type.Object(properties), { additionalProperties: false, description });
}

const text = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

const certFile = text('PEM: the certificate, and after it what else belongs to its chain.');
const keyFile = text('PEM: its private key, without a passphrase.');
const serverTls = Type.Object(
  { certFile, keyFile },
  {
    additionalProperties: false,
    description: 'TLS; the files are looked at every 2 s, and used when they change. Default: plain HTTP',
  },
);
const osdTls = Type.Object(
  {
    certFile,
    keyFile,
    clientCaFile: Type.Optional(
      text('PEM: whoever calls must show a certificate of these authorities. Default: the secret is enough'),
    ),
  },
  { additionalProperties: false, description: 'As at s3.tls. Its URL must then be an https:// URL.' },
);

const memberSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
      description: 'The mirror, such as osd-0.',
    }),
    url: text('Base URL of its OSD, such as http://10.0.0.1:9010; https:// for one with osd.tls.'),
    socket: Type.Optional(
      text(
        'Unix socket on which its OSD listens besides, for whoever calls it on its own machine; others take the URL. Its folder must be private. Not with https://. Default: none',
      ),
    ),
  },
  { additionalProperties: false },
);

/** Together with the first set, protocol's SETS_MAX. */
const FURTHER_SETS_MAX = SETS_MAX - 1;
const SET_ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$';
const MEMBERS_MAX = 16;

const furtherSetSchema = Type.Object(
  {
    id: Type.String({ pattern: SET_ID_PATTERN, description: 'Name of the mirror set.' }),
    secret: Type.Optional(text('Shared secret of gateway and OSDs of this set. Better: secretFile.')),
    secretFile: Type.Optional(text('File with it. Default: the secret of mirrorSet')),
    members: Type.Array(memberSchema, { minItems: 1, maxItems: MEMBERS_MAX }),
    draining: Type.Optional(
      Type.Boolean({
        description: 'Its objects move to the other sets, so that it can be taken out. Default: false',
      }),
    ),
  },
  { additionalProperties: false },
);

const accessKey = Type.String({ pattern: '^[A-Za-z0-9_.-]{3,128}$' });
const secretKey = Type.String({ pattern: '^[\\x21-\\x7e]{8,256}$' });

export const keySchema = Type.Object(
  {
    accessKeyId: accessKey,
    secret: Type.Optional(secretKey),
    file: Type.Optional(text('File with the secret alone. Better than secret.')),
    ownerId: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_.-]{1,128}$',
        description:
          'The account that the key acts for; its buckets belong to it. Default: that of the first key.',
      }),
    ),
    displayName: Type.Optional(text('Name of the account.')),
    email: Type.Optional(text('For grants by e-mail address.')),
    access: Type.Optional(Type.Enum(['read-only', 'read-write'], { description: 'Default: read-write' })),
    buckets: Type.Optional(
      Type.Array(Type.String({ minLength: 3, maxLength: 63 }), {
        maxItems: 1000,
        description: 'The only buckets that the key may be used on. Default: all',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Together with the two that have settings of their own. */
const ADMIN_TOKENS_MAX = 64;

const adminTokenSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$',
      description: 'Whose it is, for the audit log.',
    }),
    role: Type.Enum(['read', 'operate'], {
      description: 'read: everything that changes nothing, and no content of objects. operate: everything.',
    }),
    token: Type.Optional(text('Bearer token. Better: tokenFile.')),
    tokenFile: Type.Optional(text('File with it.')),
  },
  { additionalProperties: false },
);

const SHUTDOWN_SECONDS_MAX = 3600;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export const configurationSchema = section(
  {
    data: text('Folder of everything that has no place of its own. Default: ./data'),
    mirrorSet: section(
      {
        id: Type.String({
          pattern: SET_ID_PATTERN,
          description: 'Name of the mirror set.',
        }),
        secret: text('Shared secret of gateway and OSDs. Better: secretFile.'),
        secretFile: text('File with the shared secret. Default: <data>/secrets/osd-secret'),
        members: Type.Array(memberSchema, { minItems: 1, maxItems: MEMBERS_MAX }),
        caFile: text(
          'PEM: the authorities of the certificates of all OSDs with an https:// URL. Default: those that node trusts',
        ),
        certFile: text('PEM: what gateway and OSDs show when they call an OSD. Default: nothing'),
        keyFile,
      },
      'The mirrors that hold the same objects.',
    ),
    furtherSets: Type.Array(furtherSetSchema, {
      maxItems: FURTHER_SETS_MAX,
      description: 'More mirror sets: each object lives on one of them or on mirrorSet. Default: none',
    }),
    pins: Type.Record(
      Type.String({ minLength: 3, maxLength: 63 }),
      Type.String({ pattern: SET_ID_PATTERN }),
      {
        maxProperties: 1000,
        description: 'Buckets that live on one set: bucket name to set name. Default: none',
      },
    ),
    gateway: section(
      {
        authority: text(
          "File with the synchronization authority's state. Default: <data>/authority/state.json",
        ),
        catchUpMebibytesPerSecond: Type.Integer({
          minimum: 0,
          maximum: 1_000_000,
          description:
            'What is copied at the most to a mirror that is back, while clients write; 0: no limit. Default: 0',
        }),
        catchUpSharePercent: Type.Integer({
          minimum: COPY_SHARE_PERCENT_MIN,
          maximum: COPY_SHARE_PERCENT_MAX,
          description:
            'Of the time, the part in which such copying works at the most while clients are served. Default: 50',
        }),
        reconcilesByItself: Type.Boolean({
          description: 'Reconcile a mirror as soon as it is back. Default: true',
        }),
        scrubEveryHours: Type.Number({
          minimum: 0,
          maximum: 100_000,
          description: 'Each OSD reads everything it has so often, and has it healed; 0: never. Default: 168',
        }),
        scrubMebibytesPerSecond: Type.Number({
          exclusiveMinimum: 0,
          maximum: 1_000_000,
          description: 'What each OSD reads for a scrub at the most. Default: 16',
        }),
        suspendsWrites: Type.Boolean({
          description:
            'Writes wait while a mirror is reconciled, from beginning to end, instead of at its end alone. Default: false',
        }),
        writes: Type.Enum([...WRITES_MODES], {
          description:
            'direct: the gateway sends each write to every mirror. forwarded: it sends each write to one OSD, which sends it on to the others. Default: direct',
        }),
        tagTableRowsMax: Type.Integer({
          minimum: 1,
          maximum: 1_000_000_000,
          description:
            'Rows of a tag table at which a mirror that is away is put down for a full copy. Default: 5000000',
        }),
        workers: Type.Integer({
          minimum: 0,
          maximum: WRITERS_MAX,
          description:
            'Processes that serve the S3 endpoint, each the writer of a part of the objects; 0: one for each core. Default: 1, the gateway itself',
        }),
      },
      'The gateway.',
    ),
    s3: section(
      {
        listen: text('Default: 127.0.0.1:9000'),
        url: Type.String({
          pattern: '^https?://[^/?#]+$',
          description:
            'Where clients find it, for the links of the console. Default: the port of listen, on the host that was asked',
        }),
        region: Type.String({ pattern: '^[a-z0-9-]{1,64}$', description: 'Default: us-east-1' }),
        domains: Type.Array(Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$' }), {
          maxItems: 16,
          description: 'Names of the endpoint under which buckets are hosts: bucket.name. Default: none',
        }),
        lifecycleDaySeconds: Type.Integer({
          minimum: 1,
          maximum: 86_400,
          description: 'How long a day of a lifecycle rule is; for tests. Default: 86400',
        }),
        masterKeyFile: text(
          'File with the keys that objects are encrypted by (SSE-S3), one a line: name, 32 bytes in base64. Default: <data>/secrets/master-keys where it exists',
        ),
        customerKeysOverHttp: Type.Enum([...PLAIN_HTTP_RULES], {
          description:
            "Whether customers' own keys (SSE-C) are taken over connections without TLS. Default: loopback, from this machine",
        }),
        tls: serverTls,
      },
      'The S3 endpoint.',
    ),
    admin: section(
      {
        listen: text('Default: 127.0.0.1:9001'),
        url: text('Where `tally status` and `tally reconcile` find it. Default: the address above'),
        token: text('Bearer token. Better: tokenFile.'),
        tokenFile: text('Default: <data>/secrets/admin-token'),
        readToken: text('Bearer token that may look, and change nothing. Better: readTokenFile.'),
        readTokenFile: text('File with that token. Default: there is none'),
        tokens: Type.Array(adminTokenSchema, {
          maxItems: ADMIN_TOKENS_MAX,
          description: 'Further tokens, each with a name and a role. Default: none',
        }),
        tls: serverTls,
        caFile: text(
          'PEM: the authorities that the commands trust at an https:// URL. Default: those that node trusts',
        ),
      },
      'The admin API.',
    ),
    credentials: section(
      {
        accessKey,
        secretKey,
        file: text('In the format of ~/.aws/credentials. Default: <data>/secrets/credentials'),
        keys: Type.Array(keySchema, { maxItems: 1000, description: 'Further keys.' }),
        keysFile: text('File with the keys of `tally user`. Default: <data>/secrets/keys.yaml'),
      },
      'Who may use the S3 endpoint.',
    ),
    osd: section(
      {
        name: text('The mirror that this OSD is.'),
        listen: text('Default: host and port of the URL of the member of that name'),
        store: text('Folder of its store. Default: <data>/<name>'),
        tls: osdTls,
      },
      'The OSD on this machine, for `tally osd`.',
    ),
    log: section(
      {
        level: Type.Enum([...LOG_LEVELS], { description: 'Default: info' }),
        folder: text('Each service writes <folder>/<service>.log. Default: standard error'),
        access: Type.Boolean({
          description: 'One line for each S3 request, in <folder>/access.log. Default: false',
        }),
      },
      'The log: JSON, one object a line.',
    ),
    tracing: section(
      {
        endpoint: Type.String({
          pattern: '^https?://[^?#]+$',
          description:
            'A collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318. Default: nothing is traced',
        }),
        sampleRatio: Type.Number({
          minimum: 0,
          maximum: 1,
          description:
            'The part of the requests that is traced; a caller with a traceparent header decides itself. Default: 1',
        }),
      },
      'Traces (OpenTelemetry) of S3 requests through gateway and OSDs.',
    ),
    shutdown: section(
      {
        delaySeconds: Type.Number({
          minimum: 0,
          maximum: SHUTDOWN_SECONDS_MAX,
          description:
            'After SIGTERM a service says for so long that it is not ready, and goes on, so that load balancers turn away. Default: 0',
        }),
        drainSeconds: Type.Number({
          minimum: 0,
          maximum: SHUTDOWN_SECONDS_MAX,
          description: 'Then requests in flight may go on for so long. Default: 8',
        }),
      },
      'How a service ends. Whatever supervises it must wait for longer than both together, and 15 s.',
    ),
    metrics: section(
      {
        token: text('Bearer token that opens /metrics and nothing else. Better: tokenFile.'),
        tokenFile: text(
          'Default: none; /metrics then needs the admin token, or the secret of the set at an OSD',
        ),
      },
      'For Prometheus, at the admin port of the gateway and at each OSD.',
    ),
  },
  'Configuration of Tally.',
);

/** One layer of the configuration: a file, the environment or the flags. Paths are absolute. */
export type ConfigurationLayer = Static<typeof configurationSchema>;
