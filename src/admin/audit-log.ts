/** What operators did: every request that changes something, and every one that was refused for its token or its role. */

export interface AuditEntry {
  /** The name of the token; null: it was none of ours. */
  readonly by: string | null;
  /** The operation, as in `openapi/admin.yaml`: `POST /reconcile`. */
  readonly action: string;
  /** The request target without its query. */
  readonly target: string;
  /** What it was about, and what an operator said to it, where query or body name that. */
  readonly about?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly remoteAddress: string;
  readonly requestId: string;
}

export interface AuditLog {
  record(entry: AuditEntry): void;
}
