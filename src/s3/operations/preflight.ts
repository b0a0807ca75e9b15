/** The CORS preflight (S3 API reference "OPTIONS object"): answered to anybody, from the bucket's CORS configuration. */
import { CORS_METHODS, type CorsRequest } from '../cors.js';
import { findBucketRule, ruleHeaders } from '../cors-headers.js';
import { S3Error } from '../errors.js';
import { NO_BODY, type S3Response } from '../response.js';
import type { UnsignedContext } from './context.js';

function readPreflight({ request }: UnsignedContext): CorsRequest {
  const origin = request.headers.get('origin');
  const method = request.headers.get('access-control-request-method');
  if (origin === undefined || origin === '') {
    throw new S3Error('BadRequest', { message: 'Insufficient information. Origin request header needed.' });
  }
  if (method === undefined || !CORS_METHODS.includes(method)) {
    throw new S3Error('BadRequest', {
      message: `Invalid Access-Control-Request-Method: ${method ?? 'null'}`,
    });
  }
  const headers = (request.headers.get('access-control-request-headers') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return { origin, method, headers };
}

export async function preflight(context: UnsignedContext): Promise<S3Response> {
  const { target } = context.request;
  const asked = readPreflight(context);
  if (target.level === 'service') throw new S3Error('AccessForbidden');
  const rule = await findBucketRule(context.services, target.bucket, asked);
  if (rule === null) {
    throw new S3Error('AccessForbidden', {
      details: { Method: asked.method, ResourceType: target.level.toUpperCase() },
    });
  }
  return { status: 200, headers: ruleHeaders(rule, asked), body: NO_BODY };
}
