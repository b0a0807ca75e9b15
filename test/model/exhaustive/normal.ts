/** What nobody looks at any more is the same in all states: fewer of them are different. */
import { ACKNOWLEDGED, newImage, PENDING, type State, type Write } from './state.js';

export function normalise(state: State, damagesMax: number): void {
  const { gateway, push, catchUp } = state;
  if (gateway.open === 0) gateway.epoch = 0;
  for (const write of state.writes) normaliseWrite(write, gateway.open === 1 ? gateway.epoch : 0);
  if (push.targets === 0) {
    Object.assign(push, { epoch: 0, source: 0, fromTrusted: 0, whole: 0 });
    Object.assign(push, { object: 0, lastTag: 0, left: 0, right: 0, forgotten: 0, uncertain: 0 });
    push.rows.fill(0);
  }
  push.expected.forEach((_, mirror) => {
    if ((push.targets & (1 << mirror)) === 0) push.expected[mirror] = 0;
  });
  if (gateway.rebuilding === 0) catchUp.surveyed = 0;
  catchUp.tags.forEach((_, mirror) => {
    if ((catchUp.surveyed & (1 << mirror)) === 0)
      catchUp.tags[mirror] = catchUp.rows[mirror] = catchUp.uncertain[mirror] = 0;
  });
  if (state.spent.damages >= damagesMax) {
    state.snapshot = { of: state.mirrors.length, image: newImage(state.mirrors.length) };
  }
}

function normaliseWrite(write: Write, epoch: number): void {
  const isOnItsWay = write.clears.includes(1);
  const isListenedTo = write.epoch === epoch && [PENDING, ACKNOWLEDGED].includes(write.status);
  if (!isListenedTo) {
    write.unanswered.fill(0);
    write.attempts = write.isReady = 0;
  }
  const isSettled = !isListenedTo || write.isReady === 1;
  if (!isSettled || isOnItsWay) return;
  write.clearEpoch = 0;
  if (!isListenedTo) write.answers.fill(0);
  write.tokens.fill(0);
  write.stores.fill(0);
}
