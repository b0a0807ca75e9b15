/** Milliseconds on the clock that all processes of a machine share, and that nobody sets. It may stand still while the machine sleeps. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1_000_000;
}
