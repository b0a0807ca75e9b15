/** What several use at once, such as the memory of a piece. */

/** To be called by each of so many users when it is through; the last one's call calls `onUnused`. */
export function sharedUse(userCount: number, onUnused: () => void): () => void {
  let leftCount = userCount;
  return () => {
    leftCount -= 1;
    if (leftCount === 0) onUnused();
  };
}
