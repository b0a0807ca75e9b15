import { makeTag, toEpoch, toGeneratorId } from '../../protocol/tag.js';

/** Before every tag that was ever issued: after it come all rows of an object. */
export const TAG_BEFORE_ALL = makeTag({ epoch: toEpoch(0), counter: 0, generator: toGeneratorId(0) });
