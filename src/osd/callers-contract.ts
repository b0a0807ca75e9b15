/** Which versions of the contract callers speak: whoever has none in common with this OSD is refused before anything is read of its request. */
import {
  agreeOnContract,
  type ContractRange,
  describeContractGap,
  formatContract,
  parseContract,
} from '../wire/contract-version.js';
import type { OsdLogger } from './osd-logger.js';
import { refusal } from './refusal.js';

/** Ranges of refused callers that the log has; callers can make up any number. */
const LOGGED_MAX = 8;

type Said = string | string[] | undefined;

export class CallersContract {
  /** What is said of this OSD in its answers. */
  readonly headerText: string;
  readonly #ours: ContractRange;
  readonly #logger: OsdLogger;
  /** Nearly every caller says what the one before has said. */
  #lastSpoken: Said | null = null;
  readonly #logged = new Set<string>();

  constructor(ours: ContractRange, logger: OsdLogger) {
    this.#ours = ours;
    this.#logger = logger;
    this.headerText = formatContract(ours);
  }

  /** True: the last caller that was let in has said the same. */
  wasSpoken(said: Said): boolean {
    return said === this.#lastSpoken;
  }

  /** `said`: the caller's header. Throws OsdRefusal, or MalformedMessage for what is no range of versions. */
  refuseUnlessSpoken(said: Said): void {
    if (this.wasSpoken(said)) return;
    const theirs = parseContract(Array.isArray(said) ? said.join() : said);
    if (agreeOnContract(this.#ours, theirs) !== null) {
      this.#lastSpoken = said;
      return;
    }
    const message = describeContractGap(
      { name: 'this OSD', speaks: this.#ours },
      { name: 'the caller', speaks: theirs },
    );
    this.#log(formatContract(theirs), message);
    throw refusal('wrong-contract', message);
  }

  #log(range: string, message: string): void {
    if (this.#logged.has(range) || this.#logged.size >= LOGGED_MAX) return;
    this.#logged.add(range);
    this.#logger.error({ callerSpeaks: range }, message);
  }
}
