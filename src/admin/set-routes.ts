/** Several mirror sets behind one admin API: the list of them, and the routes of each under its name. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { MirrorSetControl } from '../gateway/gateway.js';
import type { MoveProgress } from '../gateway/placement/object-mover.js';
import { setsSchema } from './schemas.js';

export interface MirrorSets {
  /** By name, the one that has the routes without a name first. */
  readonly controls: ReadonlyMap<string, MirrorSetControl>;
  /** Of objects to their homes, after sets were added or drained; null: none since the gateway started. */
  readonly moveProgress: () => MoveProgress | null;
}

/** `/sets`, and for each set beside the first what `addRoutes` adds, under `/sets/<name>`. */
export function addSetRoutes(
  app: FastifyInstance,
  { controls, moveProgress }: MirrorSets,
  addRoutes: (scope: FastifyInstance, control: MirrorSetControl) => void,
): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/sets', { schema: { response: { 200: setsSchema } } }, async () => ({
    sets: Array.from(controls.values(), (control, index) => {
      const { setId, epoch, phase, waitingFor, inSync, unmatchedWrites, unmatchedBytes } = control.status();
      const path = index === 0 ? '/' : pathOf(setId);
      return { setId, path, epoch, phase, waitingFor, inSync, unmatchedWrites, unmatchedBytes };
    }),
    move: moveProgress(),
  }));
  for (const [name, control] of [...controls].slice(1)) {
    void app.register(
      async (scope) => {
        addRoutes(scope, control);
      },
      { prefix: pathOf(name) },
    );
  }
}

function pathOf(name: string): string {
  return `/sets/${encodeURIComponent(name)}`;
}
