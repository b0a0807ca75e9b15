/**
 * What is known at once, or has to be waited for.
 *
 * Nearly every request finds what it asks for remembered (its bucket, that there is no policy) and what it locks free. A layer that is
 * an async function all the same costs each of them a kilobyte of frame and promises, and all of it is kept until the mirrors have
 * answered (bench/README.md). So what is known is handed on as it is, and only what is not is a promise.
 *
 * Whoever returns a `Soon` may throw where an async function would reject. So it is called where both come to the same: in an async
 * function, or in what is given to `whenKnown`.
 */
export type Soon<Value> = Value | Promise<Value>;

/** Goes on with a value: at once when it is known. */
export function whenKnown<Value, Next>(soon: Soon<Value>, next: (value: Value) => Soon<Next>): Soon<Next> {
  return soon instanceof Promise ? soon.then(next) : next(soon);
}

/** Runs `work`, and `after` once it is over, however it ends. */
export function endingWith<Result>(work: () => Promise<Result>, after: () => void): Promise<Result> {
  let working: Promise<Result>;
  try {
    working = work();
  } catch (error) {
    after();
    throw error;
  }
  return working.then(
    (result) => {
      after();
      return result;
    },
    (error: unknown) => {
      after();
      throw error;
    },
  );
}
