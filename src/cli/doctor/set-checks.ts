/** A mirror set, as its gateway tells: is it served, are all mirrors in sync, and can everything be read? */
import type { AdminStatus } from '../admin-client.js';
import { plural } from '../../gateway/figures.js';
import { fail, type Finding, ok, warn } from './finding.js';

const LOST_OBJECTS_NAMED_MAX = 3;

function judgePhase({ setId, phase, waitingFor }: AdminStatus): Finding | null {
  if (phase === 'active') return null;
  const message = `${setId} is ${phase}${waitingFor === null ? '' : `: ${waitingFor}`}`;
  return fail('mirrors', message, 'Bring back what it waits for; "tally status" has more.');
}

function judgeMirrors({ setId, mirrors }: AdminStatus): Finding {
  const out = mirrors.filter(({ condition }) => condition !== 'in-sync');
  if (out.length === 0) return ok('mirrors', `all of ${setId} are in sync`);
  const conditions = out.map(({ mirror, condition }) => `${mirror} is ${condition}`).join(', ');
  return warn('mirrors', `${setId}: ${conditions}`, '"tally status" says how much it lacks.');
}

function judgeObjects({ setId, lostObjectCount, lostObjects }: AdminStatus): Finding {
  if (lostObjectCount === 0) return ok('objects', `${setId} knows of none that is intact nowhere`);
  const named = lostObjects.slice(0, LOST_OBJECTS_NAMED_MAX).map(({ bucket, key }) => `${bucket}/${key}`);
  const names = `${named.join(', ')}${lostObjectCount > named.length ? ', …' : ''}`;
  return fail(
    'objects',
    `${plural(lostObjectCount, 'object')} with bytes that are intact nowhere: ${names}`,
    'Write it anew, remove it, or see "tally force --object". Then look at the disks.',
  );
}

export function judgeSet(status: AdminStatus): readonly Finding[] {
  return [judgePhase(status) ?? judgeMirrors(status), judgeObjects(status)];
}
