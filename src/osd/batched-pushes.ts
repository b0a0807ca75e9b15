/** Several pushes in one request: each is a transaction of its own, and they share the next commit of the store. */
import type { RemotePush } from '../wire/osd-connection.js';
import type { BatchedPushReply } from '../wire/push-frame.js';
import type { ErrorResponder } from './error-responses.js';
import type { LocalOsd } from './local-osd.js';

/** One reply for each push, in order. One that fails is a reply too, so that it harms no other. */
export function pushTogether(
  osd: LocalOsd,
  pushes: readonly RemotePush[],
  responder: ErrorResponder,
): Promise<readonly BatchedPushReply[]> {
  return Promise.all(
    pushes.map(async (push) => {
      try {
        return await osd.push(push);
      } catch (error) {
        const { code, message } = responder.refusalOf(error);
        return { kind: 'failed' as const, code, message };
      }
    }),
  );
}
