/** Mirrors whose OSD answers, and speaks no version of the contract that this gateway speaks: as good as away, and told apart from that. */
import type { MirrorId } from '../protocol/authority-state.js';
import { describeContractGap } from '../wire/contract-version.js';
import type { OsdConnection } from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';

/** Who has to be upgraded, in words; null: they understand each other, or it does not answer. */
export function incompatibilityOf(mirror: MirrorId, { contract = null }: OsdConnection): string | null {
  if (contract?.agreed !== null) return null;
  const { ours, theirs } = contract;
  return describeContractGap({ name: 'this gateway', speaks: ours }, { name: mirror, speaks: theirs });
}

export interface ContractWatchOptions {
  readonly set: MirrorSet;
  readonly logger: Logger;
  readonly onIncompatible: (message: string) => void;
}

/** Tells each incompatibility once. */
export class ContractWatch {
  readonly #options: ContractWatchOptions;
  readonly #told = new Map<MirrorId, string>();

  constructor(options: ContractWatchOptions) {
    this.#options = options;
  }

  review(): void {
    const { set, logger, onIncompatible } = this.#options;
    for (const { mirror, connection } of set.members) {
      const message = incompatibilityOf(mirror, connection);
      if (message !== null && message !== this.#told.get(mirror)) {
        logger.error({ mirror }, message);
        onIncompatible(message);
      }
      if (message === null) this.#told.delete(mirror);
      else this.#told.set(mirror, message);
    }
  }
}
