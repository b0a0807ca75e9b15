import type { Event } from './api.ts';
import { formatTime } from './text.ts';

const SHOWN_MAX = 30;

/** A name such as osd-1 stays as it is. */
function asSentence(text: string): string {
  if (!/^[a-z]+\b(?!-)/.test(text)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function EventList({ events }: { readonly events: readonly Event[] }) {
  return (
    <section class="events" aria-labelledby="events-title">
      <h2 id="events-title">What happened</h2>
      <ol>
        {events.slice(0, SHOWN_MAX).map(({ atMs, kind, message }) => (
          <li key={`${atMs} ${message}`} class={kind}>
            <time dateTime={new Date(atMs).toISOString()}>{formatTime(atMs)}</time>
            <span>{asSentence(message)}</span>
          </li>
        ))}
      </ol>
      {events.length === 0 && <p class="hint">Nothing since the gateway started.</p>}
    </section>
  );
}
