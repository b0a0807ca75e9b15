/** The accounts of the suite: each worker has three of its own, since some tests list all buckets that an account has. */
import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';

/** How long a day of a lifecycle rule lasts: what the suite calls `lc_debug_interval`. */
const LIFECYCLE_DAY_SECONDS = 10;

const ROLES = ['main', 'alt', 'tenant'] as const;
type Role = (typeof ROLES)[number];

export interface Account {
  readonly ownerId: string;
  readonly displayName: string;
  readonly email: string;
  readonly accessKeyId: string;
  readonly secret: string;
}

function makeAccount(role: Role, worker: number): Account {
  const ownerId = `${role}-${worker}`;
  return {
    ownerId,
    displayName: `Account ${ownerId}`,
    email: `${ownerId}@example.com`,
    accessKeyId: `SUITE${role.toUpperCase()}${worker}`,
    secret: `secret-of-account-${ownerId}`,
  };
}

/** The keys that the suite names when it asks for encryption with named keys; random, for this run. */
const NAMED_KEYS = ['testkey-1', 'testkey-2'];

export function masterKeys(): string {
  return NAMED_KEYS.map((name) => `${name} ${randomBytes(32).toString('base64')}\n`).join('');
}

/** The part of Tally's configuration that the suite needs. */
export function tallyConfiguration(workers: number, masterKeyFile: string): string {
  const numbers = Array.from({ length: workers }, (_, worker) => worker);
  return stringify({
    s3: { lifecycleDaySeconds: LIFECYCLE_DAY_SECONDS, masterKeyFile },
    credentials: {
      keys: numbers.flatMap((worker) => ROLES.map((role) => makeAccount(role, worker))),
    },
  });
}

type Section = Readonly<Record<string, string>>;

function accountSection(account: Account, more: Section = {}): Section {
  return {
    display_name: account.displayName,
    user_id: account.ownerId,
    email: account.email,
    access_key: account.accessKeyId,
    secret_key: account.secret,
    ...more,
  };
}

function renderSection([name, fields]: readonly [string, Section]): string {
  const lines = Object.entries(fields).map(([key, value]) => `${key} = ${value}`);
  return `[${name}]\n${lines.join('\n')}\n`;
}

/** What the suite reads from S3TEST_CONF. Tally has no IAM API: those sections must be there, and are never used. */
export function suiteConfiguration(endpoint: string, region: string, worker: number): string {
  const { hostname, port } = new URL(endpoint);
  const [main, alt, tenant] = ROLES.map((role) => accountSection(makeAccount(role, worker)));
  const sections: readonly [string, Section | undefined][] = [
    ['DEFAULT', { host: hostname, port, is_secure: 'False', ssl_verify: 'False' }],
    ['fixtures', { 'bucket prefix': 'tally-{random}-' }],
    [
      's3 main',
      {
        ...main,
        api_name: region,
        lc_debug_interval: String(LIFECYCLE_DAY_SECONDS),
        kms_keyid: NAMED_KEYS[0] ?? '',
        kms_keyid2: NAMED_KEYS[1] ?? '',
      },
    ],
    ['s3 alt', alt],
    ['s3 tenant', { ...tenant, tenant: '' }],
    ['iam', main],
    ['iam root', main],
    ['iam alt root', alt],
  ];
  return sections.map(([name, fields = {}]) => renderSection([name, fields])).join('\n');
}
