/**
 * Claim: one build of Tally takes less than another. Both run at once and are loaded in turns, since on a machine that does other work the
 * difference between two runs is mostly that work: what counts is how they stand within a turn, and in how many turns.
 */
import { cpuMicrosecondsOf, type Measurement, microseconds, percentile, rateOf } from './measurement.js';
import { type BaseOrder, measureLoad, prepare, type SmallOptions, warmUp } from './small-objects.js';
import type { BenchTable } from './table.js';
import type { BenchTarget } from './target.js';

const COLUMNS = [
  'operation',
  'build',
  'connections',
  'CPU µs/request, least quarter',
  'in the middle',
  'by process',
  'of the first',
  'less in',
  'requests/s',
  'p50 ms',
  'p99 ms',
];

const NOTE =
  'By turns, each build in each. CPU: user and system time of all its processes. "of the first": in the middle of the turns, CPU within a turn against that of the first build; "less in": turns in which it was less. The other figures are those in the middle.';

interface Contender {
  readonly target: BenchTarget;
  readonly base: BaseOrder;
  readonly turns: Measurement[];
}

function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

function middle(values: readonly number[]): number {
  return percentile(sorted(values), 0.5);
}

function processesOf(turns: readonly Measurement[]): string {
  const names = Object.keys(turns[0]?.usage.cpuSeconds ?? {});
  return names
    .map((name) => {
      const each = turns.map(({ usage, requests }) => microseconds(usage.cpuSeconds[name] ?? 0, requests));
      return `${name} ${middle(each)}`;
    })
    .join(', ');
}

function rowOf({ target, turns }: Contender, first: Contender): BenchTable['rows'][number] {
  const cpu = turns.map(cpuMicrosecondsOf);
  const firstCpu = first.turns.map(cpuMicrosecondsOf);
  const shares = cpu.map((each, turn) => each / (firstCpu[turn] ?? each));
  const isFirst = target === first.target;
  const less = shares.filter((share) => share < 1).length;
  return [
    turns[0]?.operation ?? '',
    target.name,
    turns[0]?.connections ?? 0,
    percentile(sorted(cpu), 0.25),
    middle(cpu),
    processesOf(turns),
    isFirst ? '-' : middle(shares).toFixed(2),
    isFirst ? '-' : `${less} of ${turns.length}`,
    middle(turns.map(rateOf)).toFixed(0),
    middle(turns.map(({ latencyMs }) => latencyMs.p50)).toFixed(1),
    middle(turns.map(({ latencyMs }) => latencyMs.p99)).toFixed(1),
  ];
}

/** The first target is what the others are compared with. Throws Error when requests fail: they would be cheap ones. */
export async function benchByTurns(
  targets: readonly BenchTarget[],
  options: SmallOptions,
  turnCount: number,
  report: (line: string) => void,
): Promise<BenchTable> {
  const { suite } = options;
  const rows: BenchTable['rows'][number][] = [];
  const bases: { readonly target: BenchTarget; readonly base: BaseOrder }[] = [];
  for (const target of targets) bases.push({ target, base: await prepare(target, options) });
  for (const connections of options.connections) {
    const contenders = bases.map((each): Contender => ({ ...each, turns: [] }));
    const [first] = contenders;
    if (first === undefined) break;
    for (const { base } of contenders)
      await warmUp({ ...base, keyPrefix: `${suite}-${connections}-` }, connections, options);
    for (let turn = 0; turn < turnCount; turn += 1) {
      // Whoever comes first in one turn comes last in the next.
      for (const { target, base, turns } of turn % 2 === 0 ? contenders : contenders.toReversed()) {
        const load = { ...base, keyPrefix: `${suite}-${connections}-${turn}-` };
        const measurement = await measureLoad(target, load, connections, options);
        if (measurement.failures > 0)
          throw new Error(`${target.name}: ${measurement.failures} requests failed`);
        turns.push(measurement);
        report(`${suite}  ${target.name}  turn ${turn + 1}  ${cpuMicrosecondsOf(measurement)} µs/request`);
      }
    }
    rows.push(...contenders.map((contender) => rowOf(contender, first)));
  }
  return { title: `${suite}, ${turnCount} turns`, note: NOTE, columns: COLUMNS, rows };
}
