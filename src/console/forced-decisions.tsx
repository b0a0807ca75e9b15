/** Decisions that operators took against the rules (`tally force`), as the authority has them on record. */
import type { Status } from './api.ts';

export function ForcedDecisions({ decisions }: { readonly decisions: Status['forced'] }) {
  if (decisions.length === 0) return null;
  return (
    <section class="events" aria-label="Decisions of operators">
      <h2>Decided by operators</h2>
      <ol>
        {[...decisions].reverse().map(({ mirror, epoch, atMs, risks, words }) => (
          <li key={`${epoch} ${mirror}`}>
            <time dateTime={new Date(atMs).toISOString()}>{new Date(atMs).toLocaleString('sv')}</time>
            <span>
              “{words}”. The risks were: {risks.join('; ')}.
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
