/** An answer that is an XML document. */
import type { S3Response } from './response.js';
import { XML_CONTENT_TYPE } from './xml/render.js';

export function xmlResponse(text: string): S3Response {
  return { status: 200, headers: ['Content-Type', XML_CONTENT_TYPE], body: { kind: 'bytes', bytes: text } };
}
