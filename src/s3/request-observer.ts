/** The port through which others learn of every S3 request that ended. What they do is on the way of each request: little. */
import type { OperationName } from './operations/names.js';

export interface EndedRequest {
  /** As the client has it in x-amz-request-id. */
  readonly requestId: string;
  /** Null: the request was refused before it was known what it is. */
  readonly operation: OperationName | null;
  readonly method: string;
  /** The request target without its query, which may hold a signature. */
  readonly path: string;
  /** Empty for an anonymous caller; null when nobody was authenticated. */
  readonly accessKeyId: string | null;
  readonly remoteAddress: string | null;
  /** Null: the request was broken off before it was answered, or within its answer. */
  readonly status: number | null;
  /** What the client was told; null when it went well. `ClientGone`: nobody was there to be told. */
  readonly errorCode: string | null;
  readonly durationMs: number;
  readonly receivedBytes: number;
  /** Of the answer's body. */
  readonly sentBytes: number;
}

export interface RequestObserver {
  requestBegan(): void;
  requestEnded(request: EndedRequest): void;
}
