import { useEffect, useRef, useState } from 'preact/hooks';

export interface Polled<Value> {
  readonly value: Value | null;
  readonly error: Error | null;
  /** Asks now. */
  readonly refresh: () => void;
}

/** Asks again and again, never twice at once; a hidden page rests. `intervalMs` null: only once, and when refreshed. */
export function usePoll<Value>(
  ask: () => Promise<Value>,
  intervalMs: number | null,
  dependencies: readonly unknown[] = [],
): Polled<Value> {
  const [value, setValue] = useState<Value | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const step = async (): Promise<void> => {
      if (intervalMs === null || !document.hidden) {
        try {
          const next = await latest.current();
          if (isOver) return;
          setValue(() => next);
          setError(null);
        } catch (failure) {
          if (isOver) return;
          setError(failure instanceof Error ? failure : new Error(String(failure)));
        }
      }
      if (intervalMs !== null) timer = setTimeout(() => void step(), intervalMs);
    };
    void step();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [intervalMs, round, ...dependencies]);
  return { value, error, refresh: () => setRound((before) => before + 1) };
}
