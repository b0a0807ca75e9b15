/** An answer that is a document. */
import type { S3Response } from '../response.js';
import { document, XML_CONTENT_TYPE } from '../xml/render.js';

export function xmlAnswer(name: string, ...content: readonly string[]): S3Response {
  return {
    status: 200,
    headers: ['Content-Type', XML_CONTENT_TYPE],
    body: { kind: 'bytes', bytes: document(name, ...content) },
  };
}
