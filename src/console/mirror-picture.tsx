/** The mirror set as a picture: the gateway, a line to each mirror, and what each mirror has. Never by colour alone. */
import type { Mirror, Status } from './api.ts';
import { CONDITION_WORDS, formatBytes, formatCount, formatDuration } from './text.ts';

const WIDTH = 1000;
const HEIGHT = 72;

function lineTo(index: number, count: number): string {
  const x = (WIDTH * (index + 0.5)) / count;
  return `M ${WIDTH / 2} 0 C ${WIDTH / 2} ${HEIGHT * 0.7}, ${x} ${HEIGHT * 0.3}, ${x} ${HEIGHT}`;
}

function Facts({ mirror, nowMs }: { readonly mirror: Mirror; readonly nowMs: number }) {
  const { identity, lastSeenMs, condition, fullCopyReason, advice } = mirror;
  return (
    <dl>
      {condition === 'away' && (
        <div>
          <dt>last seen</dt>
          <dd>{lastSeenMs === null ? 'never' : `${formatDuration(nowMs - lastSeenMs)} ago`}</dd>
        </div>
      )}
      {identity !== null && (
        <>
          <div>
            <dt>objects</dt>
            <dd>{identity.objectCount.toLocaleString('en')}</dd>
          </div>
          <div>
            <dt>tag table</dt>
            <dd>
              {formatCount(identity.rowCount, 'row')}
              {identity.rowCount > 0 && `, ${formatBytes(identity.rowBytes)}`}
            </dd>
          </div>
          <div>
            <dt>blobs</dt>
            <dd>{formatBytes(identity.blobBytes)}</dd>
          </div>
          {identity.care.scrub?.state === 'running' && (
            <div>
              <dt>scrub</dt>
              <dd>{formatCount(identity.care.scrub.objectsExamined, 'object')} read</dd>
            </div>
          )}
          {identity.care.objectsDamaged > 0 && (
            <div>
              <dt>found damaged</dt>
              <dd>
                {identity.care.objectsDamaged.toLocaleString('en')}, healed{' '}
                {identity.care.objectsHealed.toLocaleString('en')}
              </dd>
            </div>
          )}
        </>
      )}
      {advice !== null && (
        <div class="wide advice">
          <dt>what to do</dt>
          <dd>{advice}.</dd>
        </div>
      )}
      {fullCopyReason !== null && (
        <div class="wide">
          <dt>needs a full copy</dt>
          <dd>{fullCopyReason}</dd>
        </div>
      )}
    </dl>
  );
}

export function MirrorPicture({ status }: { readonly status: Status }) {
  const { mirrors, phase, writesInFlight, nowMs } = status;
  return (
    <section class="picture" aria-label={`The mirror set ${status.setId}`}>
      <div class={`gateway ${phase}`}>
        <strong>gateway</strong>
        <span>
          {phase === 'active' ? `serving, ${formatCount(writesInFlight, 'write')} in flight` : phase}
        </span>
      </div>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {mirrors.map(({ mirror, condition }, index) => (
          <path key={mirror} class={`link ${condition}`} d={lineTo(index, mirrors.length)} />
        ))}
      </svg>
      <ul class="mirrors">
        {mirrors.map((mirror) => (
          <li key={mirror.mirror} class={`mirror ${mirror.condition}`} data-mirror={mirror.mirror}>
            <h2>
              {mirror.mirror}
              <span class="badge">{CONDITION_WORDS[mirror.condition]}</span>
            </h2>
            <p class="address">{mirror.url}</p>
            <Facts mirror={mirror} nowMs={nowMs} />
          </li>
        ))}
      </ul>
    </section>
  );
}
