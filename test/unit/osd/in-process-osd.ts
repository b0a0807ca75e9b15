/** OSDs that reach one another without a network; what passes between them may be watched, held up, or answered by the test. */
import type { LocalOsd } from '../../../src/osd/local-osd.js';
import { agreeOnContract, CONTRACT, type ContractRange } from '../../../src/wire/contract-version.js';
import {
  type ContractStanding,
  type OsdConnection,
  OsdUnreachable,
} from '../../../src/wire/osd-connection.js';
import type { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { createMemoryOsd } from '../../fakes/memory-osd.js';
import type { FleetOsd, OsdOptions } from './reconcile-fleet.js';

type Method = {
  [Name in keyof OsdConnection]-?: OsdConnection[Name] extends (...parameters: never[]) => unknown
    ? Name
    : never;
}[keyof OsdConnection];

/** Stands between who asks and who is asked, which `pass` reaches. */
export type Interception<Name extends Method> = (
  pass: OsdConnection[Name],
  ...parameters: Parameters<OsdConnection[Name]>
) => ReturnType<OsdConnection[Name]>;

type AnyFunction = (...parameters: unknown[]) => unknown;

interface Running {
  readonly osd: LocalOsd;
  readonly contract: ContractStanding | undefined;
  readonly interceptions: Map<string | symbol, AnyFunction>;
}

const running = new Map<string, Running>();
let runCount = 0;

export function startInProcess(store: MemoryOsdStore, { limits, contract }: OsdOptions): FleetOsd {
  const violations: Error[] = [];
  runCount += 1;
  const url = `memory:${runCount}`;
  const incarnation = `run-${runCount}`;
  const osd = createMemoryOsd({
    store,
    limits,
    incarnation,
    connect: linkTo,
    onInvariantViolation: (violation) => violations.push(violation),
  });
  running.set(url, { osd, contract: contract && standingOf(contract), interceptions: new Map() });
  return {
    url,
    incarnation,
    connection: osd,
    violations,
    close: async () => {
      running.delete(url);
      await osd.close();
    },
  };
}

function standingOf(theirs: ContractRange): ContractStanding {
  return { theirs, ours: CONTRACT, agreed: agreeOnContract(theirs, CONTRACT) };
}

/** Of whatever comes to an OSD through a link from now on. */
export function intercept<Name extends Method>(url: string, method: Name, by: Interception<Name>): void {
  running.get(url)?.interceptions.set(method, by as unknown as AnyFunction);
}

/** Whoever closes a link leaves the OSD running. */
export function linkTo(url: string): OsdConnection {
  return new Proxy({} as OsdConnection, {
    get: (_target, property) => {
      const there = running.get(url);
      if (property === 'url') return url;
      if (property === 'contract') return there?.contract;
      if (property === 'close') return async () => undefined;
      if (there === undefined) return () => Promise.reject(new OsdUnreachable('connection refused', false));
      const member = (there.osd as unknown as Record<string | symbol, unknown>)[property];
      if (typeof member !== 'function') return member;
      const pass = (member as AnyFunction).bind(there.osd);
      const by = there.interceptions.get(property);
      return by === undefined ? pass : (...parameters: unknown[]) => by(pass, ...parameters);
    },
  });
}
