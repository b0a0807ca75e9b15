/** What a worker and the process that has started it tell each other, beside what concerns the mirror set (gateway/workers). */
import type { AuthorityState } from '../../protocol/authority-state.js';
import type { GeneratorId } from '../../protocol/tag.js';
import type { ExitCode } from '../exit-codes.js';

/** A worker's first call, 'place'. */
export interface PlaceBody {
  /** build-identity.ts */
  readonly build: string;
}

/** The answer to it, for a worker of the same build. */
export interface PlaceReply {
  readonly index: number;
  readonly generators: readonly GeneratorId[];
  readonly setId: string;
  readonly state: AuthorityState;
}

/** Why a worker can't serve, as a note 'failed'. */
export interface FailedNote {
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly message: string;
}

// Further: the worker calls 'joined' when it knows all others, and notes 'listening', and every second 'figures' (S3FiguresSnapshot); it is called 'stop-serving' (drainMs), and noted 'stopping' and 'end'.
