/** The invariants of DESIGN.md section 6 that one state shows by itself; the others are checked where a step is taken. */
import type { Context } from './mirror.js';
import { at, idOf, KINDS, membersOf } from './names.js';
import { PRESENT, type State } from './state.js';
import { positionOf, TORN } from './repair.js';

function isAbsent(state: State, position: number): boolean {
  return position >= 0 && KINDS[at(state.writes, position).kind] === 'remove';
}

export function checkState({ violate }: Context, state: State): void {
  state.mirrors.forEach(({ image, damaged }, mirror) => {
    const position = positionOf(state, mirror);
    // Who is being copied in full is on record, and may be half of this and half of that.
    if (position === TORN && image.doubt !== 1)
      violate(
        `torn: ${idOf(mirror)} has a content that its last tag never made: ${image.left} ${image.right}`,
      );
    else if (damaged === 0 && position !== TORN) checkCleared(violate, state, { mirror, position });
  });
  for (const mirror of membersOf(state.authority.inSync)) checkInSync(violate, state, mirror);
  if (state.authority.inSync === 0) violate('I3: the in-sync set is empty');
}

/** I2: what was answered is there; and what an activation settled as gone is not. */
function checkInSync(violate: Context['violate'], state: State, mirror: number): void {
  const { truth, authority } = state;
  if (at(state.mirrors, mirror).damaged === 1) return;
  const position = positionOf(state, mirror);
  const { object } = at(state.mirrors, mirror).image;
  const isEquallyAbsent = object !== PRESENT && isAbsent(state, truth.settled);
  if (position > TORN && position < truth.settled && !isEquallyAbsent)
    violate(`I2: ${idOf(mirror)} has #${position} where #${truth.settled} was acknowledged`);
  const isOld = position > 0 && at(state.writes, position).epoch < truth.activation;
  if (authority.active === 1 && isOld && position > truth.final)
    violate(`resurrected: ${idOf(mirror)} has #${position}, which was settled as gone`);
}

/** I4: a write without a row is everywhere, or who lacks it is on record. */
function checkCleared(
  violate: Context['violate'],
  state: State,
  { mirror, position }: { readonly mirror: number; readonly position: number },
): void {
  const { image } = at(state.mirrors, mirror);
  for (let number = position; number > 0;) {
    const write = at(state.writes, number);
    if (at(image.rows, number) === 0) checkEverywhere(violate, state, { mirror, number });
    if (KINDS[write.kind] !== 'range-write') return;
    number = state.writes.findIndex(({ tag }) => tag === write.previous);
  }
}

function checkEverywhere(
  violate: Context['violate'],
  state: State,
  { mirror, number }: { readonly mirror: number; readonly number: number },
): void {
  const { authority } = state;
  state.mirrors.forEach(({ image, damaged }, other) => {
    const isOnRecord = authority.fullCopy[other] === 1 || authority.stores[other] !== image.store;
    if (other === mirror || isOnRecord || image.doubt > 0 || damaged === 1) return;
    const tag = image.lastTag > 0 ? image.lastTag : image.forgotten;
    if (tag >= at(state.writes, number).tag) return;
    if (isAbsent(state, number) && image.object !== PRESENT) return;
    violate(`I4: ${idOf(mirror)} has no row of #${number}, which ${idOf(other)} lacks`);
  });
}
