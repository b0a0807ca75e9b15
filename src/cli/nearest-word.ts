/** The word that was probably meant. */

/** Slips of the finger: a letter too many, missing, or another one. */
const SLIPS_MAX = 2;

/** The least number of letters to add, drop or exchange. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, letter] of Array.from(one).entries()) {
    const next = [index + 1];
    for (const [column, otherLetter] of Array.from(other).entries()) {
      const exchanged = (row[column] ?? 0) + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(exchanged, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

/** Null: none of them is near. */
export function nearestWord(word: string, words: readonly string[]): string | null {
  const scored = words
    .map((candidate) => ({ candidate, slips: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ slips }) => slips <= SLIPS_MAX)
    .sort((left, right) => left.slips - right.slips);
  return scored[0]?.candidate ?? null;
}
