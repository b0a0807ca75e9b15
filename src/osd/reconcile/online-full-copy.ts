/**
 * A full copy while clients write (DESIGN.md section 5.5, the four rules).
 *
 *   page by page from the cursor: compare both sides -> bring each object that differs to what the source has now -> cursor
 *
 * The target takes no client's write until the end of this is on the authority's record, because it doubts itself: so nothing but
 * this changes it, and every write since the begin of the copy has its row on the source. An object behind the cursor is
 * one that the source had at some time since the begin; what it lacks the rows say. That is why the cursor holds
 * whatever becomes of the driver, the target, the source or the gateway, and why rows are copied when this is through.
 *
 * What is never done here: to make a target forget a tombstone (F35). It yields to clients like online-catch-up.ts.
 */
import { unreachable } from '../../protocol/invariant.js';
import type { ObjectState } from '../../protocol/write.js';
import type { ObjectWitness } from '../../wire/osd-connection.js';
import { oneAhead, workOn } from './bounded-work.js';
import { rowsToCarry } from './carried-rows.js';
import { SourceUnfit } from './content-relay.js';
import { CopyPaused } from './copy-pacer.js';
import {
  findLostOf,
  type ObjectPush,
  type PushContext,
  sendPush,
  takeTurn,
  unmatchedBytes,
} from './object-push.js';
import { type FullCopyOptions, isSame, lacksRows, type Pair, PairWalk } from './pair-walk.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import { describePlace, ReconcileFailure } from './reconcile-failure.js';

/** Between the look at an object's state and its reading it may be written; so often in a row it is not by chance. */
const ATTEMPTS_MAX = 20;

export async function copyEverythingOnline(options: FullCopyOptions): Promise<void> {
  const { context, source, target, limits } = options;
  const { walk } = await PairWalk.begin(options);
  for await (const page of oneAhead(pagesOf(context, walk))) {
    const differing = page.filter((pair) => hasToDo(pair) || lacksRows(pair, source, target));
    for (const pair of differing) context.progress.objectToDo(plannedBytes(pair));
    await workOn(differing, limits.reconcileObjectsInFlight, (pair) => settle(options, pair));
    await walk.passed(page);
  }
}

async function* pagesOf(
  { scope, pacer }: PushContext,
  walk: PairWalk,
): AsyncGenerator<readonly Pair[], void, undefined> {
  for (;;) {
    scope.checkCancelled();
    const page = await pacer.run(0, () => walk.nextPage());
    if (page.length === 0) return;
    yield page;
  }
}

function hasToDo(pair: Pair): boolean {
  return !isSame(pair) || (pair.source === null && pair.rows.unmatchedCount > 0);
}

function plannedBytes(pair: Pair): number {
  return isSame(pair) ? 0 : (pair.source?.sizeBytes ?? 0);
}

/** Brings one object, counted as to do, to what the source has of it at some time from now on. */
async function settle(options: FullCopyOptions, pair: Pair): Promise<void> {
  const { context, source } = options;
  const attempt = new Attempt(options, pair);
  for (let count = 1; count <= ATTEMPTS_MAX; count += 1) {
    context.scope.checkCancelled();
    if (await attempt.makeDespitePauses()) {
      context.progress.objectDone();
      return;
    }
  }
  const { unfit } = attempt;
  const place = describePlace(pair.objectId, source.mirror);
  throw new ReconcileFailure(
    unfit === null ? 'changed' : 'damaged',
    unfit ?? `${place} changes faster than it can be copied`,
  );
}

class Attempt {
  readonly #options: FullCopyOptions;
  readonly #pair: Pair;
  #bytesToDo: number;
  /** The damage for which no source could give the bytes the last time; null: there was none, or one has changed. */
  unfit: string | null = null;

  constructor(options: FullCopyOptions, pair: Pair) {
    this.#options = options;
    this.#pair = pair;
    this.#bytesToDo = plannedBytes(pair);
  }

  /** One that was paused in the middle is made again, however often. False: something has changed, or could not be read. */
  async makeDespitePauses(): Promise<boolean> {
    const { context } = this.#options;
    for (;;) {
      try {
        // The state is looked at in the very turn in which the bytes are read: a rest between the two would be an invitation.
        return await takeTurn(context, this.#bytesToDo, () => this.#make());
      } catch (error) {
        if (!(error instanceof CopyPaused)) throw error;
      }
    }
  }

  async #make(): Promise<boolean> {
    const { context, source, target } = this.#options;
    const asked = source.osd.evidence(context.scope.epoch, [this.#pair.objectId]);
    const [witness] = await readRecords(source.mirror, asked);
    if (witness === undefined) throw new ReconcileFailure('peer-mismatch', 'no evidence of one object');
    const { state } = witness;
    const { target: present } = this.#pair;
    // A mirror that is being rebuilt lets go of no tombstone (F35).
    if (state === null && present !== null && present.sizeBytes === null) return true;
    const push: ObjectPush = {
      objectId: this.#pair.objectId,
      sources: [source, ...this.#options.otherSources],
      state,
      content: this.#isAt(state) ? { kind: 'extents', extents: [] } : { kind: 'whole' },
      rows: this.#rowsOf(witness),
      target,
      targetLastTag: present?.lastTag ?? null,
    };
    this.#plan(unmatchedBytes(push.content, state));
    const hasLanded = await this.#send(push);
    if (hasLanded && state === null && present !== null) context.progress.objectDeleted();
    return hasLanded;
  }

  /** True when only rows may be missing. */
  #isAt(state: ObjectState | null): boolean {
    return state !== null && isSame(this.#pair) && state.lastTag === this.#pair.target?.lastTag;
  }

  #rowsOf({ state, rows, hasMoreRows }: ObjectWitness): ObjectPush['rows'] {
    const { objectId, rows: known } = this.#pair;
    const target = this.#options.target.mirror;
    return rowsToCarry(objectId, state, {
      source: hasMoreRows ? null : rows,
      target: known.isOverLimit ? null : (known.rows.get(target) ?? []),
    });
  }

  #plan(bytes: number): void {
    this.#options.context.progress.plannedAgain(bytes - this.#bytesToDo);
    this.#bytesToDo = bytes;
  }

  async #send(push: ObjectPush): Promise<boolean> {
    const { context } = this.#options;
    const unfit: SourceUnfit[] = [];
    for (const source of push.sources) {
      try {
        return await this.#sendFrom(push, source);
      } catch (error) {
        if (!(error instanceof SourceUnfit)) throw error;
        unfit.push(error);
      }
    }
    const areDamaged = unfit.every(({ isDamaged }) => isDamaged);
    this.unfit = areDamaged ? unfit.map(({ message }) => message).join('; ') : null;
    if (!areDamaged) return false;
    const damaged = await findLostOf(context, push);
    if (damaged === null) return false;
    try {
      return await this.#sendFrom(damaged.push, damaged.source);
    } catch (error) {
      if (error instanceof SourceUnfit) return false;
      throw error;
    }
  }

  async #sendFrom(push: ObjectPush, source: ReconcilePeer): Promise<boolean> {
    const reply = await sendPush(this.#options.context, push, source);
    this.unfit = null;
    if (reply.kind === 'landed') return true;
    switch (reply.code) {
      case 'unknown-stage':
        return false;
      case 'changed':
      case 'would-go-back':
      case 'no-base':
      case 'stale-epoch':
      case 'not-fenced':
      case 'checksum-mismatch':
      case 'no-space':
      case 'io-error':
        throw new ReconcileFailure('refused', `${push.target.mirror} refused a push: ${reply.code}`);
      default:
        return unreachable(reply.code);
    }
  }
}
