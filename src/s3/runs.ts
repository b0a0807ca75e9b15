/** Numbers that often repeat, as runs: a number, how many times it comes in a row, and so on. */

export function toRuns(numbers: readonly number[]): number[] {
  const runs: number[] = [];
  for (const number of numbers) {
    const end = runs.length - 1;
    if (end >= 0 && runs[end - 1] === number) runs[end] = (runs[end] ?? 0) + 1;
    else runs.push(number, 1);
  }
  return runs;
}

export function fromRuns(runs: readonly number[]): number[] {
  const numbers: number[] = [];
  for (let index = 0; index + 1 < runs.length; index += 2) {
    for (let count = runs[index + 1] ?? 0; count > 0; count -= 1) numbers.push(runs[index] ?? 0);
  }
  return numbers;
}
