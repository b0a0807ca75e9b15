/** The one function that turns errors into responses, and the form for connections that have no response object. */
import { STATUS_CODES } from 'node:http';
import { toS3Error, type S3Error } from './errors.js';
import type { HeaderList, S3Response } from './response.js';
import { legibleText, textElement, XML_CONTENT_TYPE, XML_DECLARATION } from './xml/render.js';

interface ErrorContext {
  readonly requestId: string;
  readonly hostId: string;
  /** The path of the request as it came; null when it could not be read. */
  readonly resource: string | null;
}

/** What a request said comes back in its error, and no parser may stumble over that. */
function legibleElement(name: string, text: string): string {
  return textElement(name, legibleText(text));
}

function renderErrorDocument(error: S3Error, context: ErrorContext): string {
  // A string to sign is for people to compare with theirs, so its lines stay lines.
  const details = Object.entries(error.details).map(([name, text]) =>
    legibleElement(name, text).replaceAll('&#xA;', '\n'),
  );
  return [
    XML_DECLARATION,
    '<Error>',
    textElement('Code', error.code),
    legibleElement('Message', error.message),
    ...details,
    context.resource === null ? '' : legibleElement('Resource', context.resource),
    textElement('RequestId', context.requestId),
    textElement('HostId', context.hostId),
    '</Error>',
  ].join('');
}

/** Renders anything that was thrown. The S3Error that the client is told of comes along, for the log. */
export function errorResponse(
  thrown: unknown,
  context: ErrorContext,
): { error: S3Error; answer: S3Response } {
  const error = toS3Error(thrown);
  const headers: HeaderList = error.headers.flat();
  headers.push('Content-Type', XML_CONTENT_TYPE);
  return {
    error,
    answer: {
      status: error.status,
      headers,
      body: { kind: 'bytes', bytes: renderErrorDocument(error, context) },
    },
  };
}

/** The same as the text of a whole HTTP/1.1 response that closes its connection. */
export function errorMessage(thrown: unknown, context: ErrorContext): string {
  const { error, answer } = errorResponse(thrown, context);
  const document = answer.body.kind === 'bytes' ? String(answer.body.bytes) : '';
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`,
    `x-amz-request-id: ${context.requestId}`,
    `x-amz-id-2: ${context.hostId}`,
    `Content-Type: ${XML_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(document)}`,
    'Connection: close',
    '',
    document,
  ].join('\r\n');
}
