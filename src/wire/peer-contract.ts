/** What a client knows of the contract versions of the OSD that it calls: learned whenever the OSD says who it is. */
import {
  agreeOnContract,
  CONTRACT,
  type ContractRange,
  describeContractGap,
  formatContract,
  parseContract,
} from './contract-version.js';
import { HEADER_CONTRACT } from './contract.js';
import { OSD_ERROR_STATUS, type OsdErrorCode } from './error-codes.js';
import type { HttpAnswer } from './http-exchange.js';
import { type ContractStanding, OsdRefusal } from './osd-connection.js';

export class PeerContract {
  /** What is said of this side in every request. */
  readonly headerText: string;
  readonly #url: string;
  readonly #ours: ContractRange;
  #standing: ContractStanding | null = null;

  constructor(url: string, ours: ContractRange = CONTRACT) {
    this.#url = url;
    this.#ours = ours;
    this.headerText = formatContract(ours);
  }

  get standing(): ContractStanding | null {
    return this.#standing;
  }

  /** From an answer to the question who it is. Throws MalformedMessage. */
  learn({ status, headers }: HttpAnswer): void {
    const said = headers[HEADER_CONTRACT];
    // Whatever refuses and says nothing need not be an OSD.
    if (said === undefined && status !== 200) return;
    const theirs = parseContract(Array.isArray(said) ? said.join() : said);
    this.#standing = { theirs, ours: this.#ours, agreed: agreeOnContract(this.#ours, theirs) };
  }

  /** It does not answer: when it is back, it may be another build. */
  forget(): void {
    this.#standing = null;
  }

  /** Throws OsdRefusal when it is known that the OSD would not understand this side, or this side its answer. */
  refuseAcrossGap(): void {
    if (this.#standing === null || this.#standing.agreed !== null) return;
    const { ours, theirs } = this.#standing;
    const message = describeContractGap(
      { name: 'this side', speaks: ours },
      { name: `the OSD at ${this.#url}`, speaks: theirs },
    );
    const code = 'wrong-contract' satisfies OsdErrorCode;
    throw new OsdRefusal(code, OSD_ERROR_STATUS[code], message);
  }
}
