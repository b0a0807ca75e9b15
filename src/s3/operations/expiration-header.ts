/** x-amz-expiration (S3 API reference "GetObject"): when a lifecycle rule will expire the current version, and which. */
import { type Soon, whenKnown } from '../../protocol/soon.js';
import type { ObjectAttributes } from '../attributes.js';
import { toHttpDate } from '../http-date.js';
import { LIFECYCLE } from '../lifecycle/document.js';
import { DAY_MS, expiryOf } from '../lifecycle/rules.js';
import type { HeaderList } from '../response.js';
import type { ObjectContext } from './context.js';

/** Not for those who hold the bucket. */
export function expirationHeaders(
  { services, bucket, key }: ObjectContext,
  { sizeBytes, attributes }: { readonly sizeBytes: number; readonly attributes: ObjectAttributes },
): Soon<HeaderList> {
  return whenKnown(services.buckets.document(bucket, LIFECYCLE), (rules) => {
    const expiry = rules === null ? null : expiryOf(rules, { key, sizeBytes, attributes }, DAY_MS);
    if (expiry === null) return [];
    const { rule, atMs } = expiry;
    return [
      'x-amz-expiration',
      `expiry-date="${toHttpDate(atMs)}", rule-id="${encodeURIComponent(rule.id)}"`,
    ];
  });
}
