/** Who may call: access keys, their secrets, and the account that each stands for. */

export interface Account {
  /** The canonical user id; buckets and objects belong to it. */
  readonly ownerId: string;
  readonly displayName: string;
}

/** What one key is limited to, whatever its account may do. */
export interface KeyLimits {
  readonly isReadOnly: boolean;
  /** Null: all. */
  readonly buckets: readonly string[] | null;
}

export const NO_LIMITS: KeyLimits = { isReadOnly: false, buckets: null };

export interface Credential extends Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** For grants by e-mail address. */
  readonly email?: string;
  readonly limits?: KeyLimits;
}

/** The accounts that grants can name. */
export interface AccountDirectory {
  findById(ownerId: string): Account | null;
  findByEmail(email: string): Account | null;
}

export interface CredentialStore {
  /** Null when there is no such key. */
  lookup(accessKeyId: string): Credential | null;
  readonly accounts: AccountDirectory;
}

/** The account that a request acts for. */
export interface Identity extends Account {
  /** Empty for an anonymous caller. */
  readonly accessKeyId: string;
  readonly isAnonymous: boolean;
  readonly limits: KeyLimits;
}

/** Who sends no signature. What such a caller writes belongs to this account, as at AWS. */
export const ANONYMOUS: Identity = {
  accessKeyId: '',
  ownerId: '65a011a29cdf8ec533ec3d1ccaae921c',
  displayName: 'anonymous',
  isAnonymous: true,
  limits: NO_LIMITS,
};

export function identityOf(credential: Credential): Identity {
  const { accessKeyId, ownerId, displayName, limits = NO_LIMITS } = credential;
  return { accessKeyId, ownerId, displayName, isAnonymous: false, limits };
}

/** A store of keys that is exchanged as a whole: a request that has found its key goes on with that. */
export class ExchangeableCredentials implements CredentialStore {
  #current: CredentialStore;
  readonly accounts: AccountDirectory = {
    findById: (ownerId) => this.#current.accounts.findById(ownerId),
    findByEmail: (email) => this.#current.accounts.findByEmail(email),
  };

  constructor(credentials: readonly Credential[]) {
    this.#current = fixedCredentials(credentials);
  }

  exchange(credentials: readonly Credential[]): void {
    this.#current = fixedCredentials(credentials);
  }

  lookup(accessKeyId: string): Credential | null {
    return this.#current.lookup(accessKeyId);
  }
}

/** A store of keys that does not change. */
export function fixedCredentials(credentials: readonly Credential[]): CredentialStore {
  const byKey = new Map(credentials.map((credential) => [credential.accessKeyId, credential]));
  const byId = new Map<string, Account>([[ANONYMOUS.ownerId, ANONYMOUS]]);
  const byEmail = new Map<string, Account>();
  for (const credential of credentials) {
    byId.set(credential.ownerId, credential);
    if (credential.email !== undefined) byEmail.set(credential.email.toLowerCase(), credential);
  }
  return {
    lookup: (accessKeyId) => byKey.get(accessKeyId) ?? null,
    accounts: {
      findById: (ownerId) => byId.get(ownerId) ?? null,
      findByEmail: (email) => byEmail.get(email.toLowerCase()) ?? null,
    },
  };
}
