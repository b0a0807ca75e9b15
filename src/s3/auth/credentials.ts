/** Who may call: access keys, their secrets, and the account that each stands for. */

export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The canonical user id of the account; buckets belong to it. */
  readonly ownerId: string;
  readonly displayName: string;
}

export interface CredentialStore {
  /** Null when there is no such key. */
  lookup(accessKeyId: string): Credential | null;
}

/** The account that a request acts for. */
export interface Identity {
  readonly accessKeyId: string;
  readonly ownerId: string;
  readonly displayName: string;
}

/** A store of keys that does not change. */
export function fixedCredentials(credentials: readonly Credential[]): CredentialStore {
  const byKey = new Map(credentials.map((credential) => [credential.accessKeyId, credential]));
  return { lookup: (accessKeyId) => byKey.get(accessKeyId) ?? null };
}
