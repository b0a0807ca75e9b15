/** What copying to a mirror that is back may take, while clients write: a pause, and a share of the time. */
import { useState } from 'preact/hooks';
import { Act, useWhyNot } from './access.tsx';
import type { Pace } from './api.ts';

/** As the API has it. */
const SHARE_PERCENT_MIN = 5;
const SHARE_PERCENT_MAX = 100;

export function PaceControls({
  pace,
  change,
}: {
  readonly pace: Pace;
  readonly change: (change: Partial<Pace>) => Promise<void>;
}) {
  const whyNot = useWhyNot();
  /** What the slider shows while it is moved, until the gateway has it. */
  const [dragged, setDragged] = useState<number | null>(null);
  const sharePercent = dragged ?? pace.sharePercent;
  const settle = async (wanted: number): Promise<void> => {
    setDragged(wanted);
    await change({ sharePercent: wanted });
    setDragged(null);
  };
  return (
    <>
      <label class="share">
        <span>Copies {sharePercent} % of the time</span>
        <input
          type="range"
          disabled={whyNot !== null}
          title={whyNot ?? ''}
          min={SHARE_PERCENT_MIN}
          max={SHARE_PERCENT_MAX}
          step={5}
          value={sharePercent}
          aria-valuetext={`${sharePercent} % of the time`}
          onInput={({ currentTarget }) => setDragged(currentTarget.valueAsNumber)}
          onChange={({ currentTarget }) => void settle(currentTarget.valueAsNumber)}
        />
      </label>
      <Act onClick={() => void change({ isPaused: !pace.isPaused })}>
        {pace.isPaused ? 'Resume copying' : 'Pause copying'}
      </Act>
    </>
  );
}
