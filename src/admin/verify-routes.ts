/** `/verify`: mirrors compared object by object, and what was found. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { MirrorSetControl } from '../gateway/gateway.js';
import {
  type Difference,
  type DifferenceKind,
  type DifferenceOutcome,
  DIFFERENCES_TOLD_MAX,
  type Verification,
  VERIFY_BYTES_PER_SECOND_DEFAULT,
} from '../gateway/verification/verification.js';
import { parseObjectId } from '../protocol/object-id.js';
import { ADMIN_ERRORS, AdminError } from './admin-errors.js';
import { count, list, object, orNull, timeMs, words } from './schemas.js';

const differenceSchema = object({
  bucket: Type.String(),
  key: Type.String(),
  version: Type.String(),
  kind: words<DifferenceKind>({ 'last-tag': true, state: true, content: true, damaged: true }),
  mirrors: list(
    object({
      mirror: Type.String(),
      lastTag: orNull(Type.String()),
      sizeBytes: orNull(count),
      isDamaged: Type.Boolean(),
    }),
  ),
  outcome: words<DifferenceOutcome>({ found: true, repaired: true, 'needs-operator': true }),
  detail: Type.String(),
});

const verificationSchema = object({
  id: Type.String(),
  state: words<Verification['state']>({
    running: true,
    waiting: true,
    done: true,
    failed: true,
    stopped: true,
  }),
  repairs: Type.Boolean(),
  isQuick: Type.Boolean(),
  bytesPerSecond: count,
  startedMs: timeMs,
  endedMs: orNull(timeMs),
  objectsCompared: count,
  objectsChanging: count,
  objectsExpected: count,
  bytesCompared: count,
  differenceCount: count,
  repairedCount: count,
  differences: list(differenceSchema),
  failure: orNull(Type.String()),
});

/** At most DIFFERENCES_TOLD_MAX differences. */
export type AdminVerification = Static<typeof verificationSchema>;

export const verifySchema = object({ verification: orNull(verificationSchema) });
export const verifyStartedSchema = object({ verification: verificationSchema });
export const verifyRunningSchema = object({
  code: Type.String(),
  message: Type.String(),
  verification: verificationSchema,
});

const verifyQuerySchema = Type.Object(
  {
    repair: Type.Optional(Type.Boolean()),
    quick: Type.Optional(Type.Boolean()),
    bytesPerSecond: Type.Optional(Type.Integer({ minimum: 1024, maximum: 2 ** 40 })),
  },
  { additionalProperties: false },
);

function toAdmin(verification: Verification): AdminVerification {
  return { ...verification, differences: verification.differences.slice(0, DIFFERENCES_TOLD_MAX).map(named) };
}

function named({ objectId, ...difference }: Difference): AdminVerification['differences'][number] {
  const { container, name, version } = parseObjectId(objectId);
  return { bucket: container, key: name, version, ...difference };
}

export function addVerifyRoutes(app: FastifyInstance, control: MirrorSetControl): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>();
  typed.get('/verify', { schema: { response: { 200: verifySchema } } }, async () => {
    const latest = control.verification();
    return { verification: latest === null ? null : toAdmin(latest) };
  });
  typed.delete('/verify', { schema: { response: { 200: verifyStartedSchema } } }, async () => {
    const stopped = await control.stopVerification();
    if (stopped === null) throw new AdminError('no-verification');
    return { verification: toAdmin(stopped) };
  });
  typed.post(
    '/verify',
    {
      schema: {
        querystring: verifyQuerySchema,
        response: { 202: verifyStartedSchema, 409: verifyRunningSchema },
      },
    },
    async (request, reply) => {
      const {
        repair = false,
        quick = false,
        bytesPerSecond = VERIFY_BYTES_PER_SECOND_DEFAULT,
      } = request.query;
      const started = control.verify({ repairs: repair, isQuick: quick, bytesPerSecond });
      const verification = toAdmin(started.verification);
      if (started.isNew) return reply.code(202).send({ verification });
      const { status, message } = ADMIN_ERRORS['verification-running'];
      return reply.code(status).send({ code: 'verification-running', message, verification });
    },
  );
}
