import {
  COUNTER_MAX,
  EPOCH_MAX,
  GENERATOR_MAX,
  makeTag,
  toEpoch,
  toGeneratorId,
} from '../../protocol/tag.js';

/** Before every tag that was ever issued: after it come all rows of an object. */
export const TAG_BEFORE_ALL = makeTag({ epoch: toEpoch(0), counter: 0, generator: toGeneratorId(0) });
/** After it come the rows of the objects behind. */
export const TAG_AFTER_ALL = makeTag({
  epoch: toEpoch(EPOCH_MAX),
  counter: COUNTER_MAX,
  generator: toGeneratorId(GENERATOR_MAX),
});
