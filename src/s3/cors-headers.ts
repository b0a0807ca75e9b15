/** The Access-Control-* headers of answers (UserGuide "How does Amazon S3 evaluate the CORS configuration"). */
import { CORS_DOCUMENT, findCorsRule, type CorsRequest, type CorsRule } from './cors.js';
import { checkBucketName } from './keys.js';
import type { Services } from './operations/context.js';
import type { S3Request } from './request.js';
import type { HeaderList } from './response.js';

const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

export function ruleHeaders(rule: CorsRule, { origin, headers }: CorsRequest): HeaderList {
  const list: HeaderList = rule.origins.includes('*')
    ? ['Access-Control-Allow-Origin', '*']
    : ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true'];
  list.push('Access-Control-Allow-Methods', rule.methods.join(', '));
  if (headers.length > 0) list.push('Access-Control-Allow-Headers', headers.join(', '));
  if (rule.exposed.length > 0) list.push('Access-Control-Expose-Headers', rule.exposed.join(', '));
  if (rule.maxAgeSeconds !== null) list.push('Access-Control-Max-Age', String(rule.maxAgeSeconds));
  list.push('Vary', VARY);
  return list;
}

/** Null for a bucket without CORS, and when no rule covers the request. Throws S3Error InvalidBucketName, NoSuchBucket. */
export async function findBucketRule(
  services: Services,
  bucketName: string,
  asked: CorsRequest,
): Promise<CorsRule | null> {
  checkBucketName(bucketName);
  const bucket = await services.buckets.get(bucketName);
  const configuration = await services.buckets.document(bucket, CORS_DOCUMENT);
  return configuration === null ? null : findCorsRule(configuration, asked);
}

/** For the answer to a request that is no preflight. None without an Origin. */
export async function corsHeaders(services: Services, request: S3Request): Promise<HeaderList> {
  const { target } = request;
  const origin = request.headers.get('origin');
  if (origin === undefined || target.level === 'service') return [];
  const method = request.headers.get('access-control-request-method') ?? request.method;
  const asked: CorsRequest = { origin, method, headers: [] };
  const rule = await findBucketRule(services, target.bucket, asked);
  return rule === null ? [] : ruleHeaders(rule, asked);
}
