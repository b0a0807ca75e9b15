/** Request bodies that are XML documents: small, whole in memory, verified before they are parsed. */
import { S3Error } from '../errors.js';
import type { ServiceContext } from '../operations/context.js';
import { parseXml, type XmlElement } from '../xml/parse.js';
import { readExpectations } from './expectations.js';
import { receivePayload } from './receive.js';

/** A whole small body. Throws S3Error MaxMessageLengthExceeded, and as `receivePayload`. */
export async function readBody(context: ServiceContext): Promise<Buffer> {
  const { request, payload, services } = context;
  const { xmlBytesMax } = services.limits;
  if (payload.kind === 'unsigned' && !payload.isStated) {
    throw new S3Error('InvalidRequest', {
      message: 'Missing required header for this request: x-amz-content-sha256',
    });
  }
  if (request.body.isEmpty && !request.headers.has('x-amz-decoded-content-length')) return Buffer.alloc(0);
  const expectations = readExpectations(request, payload, services.limits);
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  await receivePayload({ mode: payload, body: request.body, expectations }, services.limits, (piece) => {
    sizeBytes += piece.length;
    if (sizeBytes > xmlBytesMax) throw new S3Error('MaxMessageLengthExceeded');
    pieces.push(piece);
    return Promise.resolve();
  });
  return Buffer.concat(pieces);
}

/** The root element of the body, null when the body is empty. Throws S3Error MalformedXML, and as `readBody`. */
export async function readDocument(context: ServiceContext): Promise<XmlElement | null> {
  const bytes = await readBody(context);
  return bytes.length === 0 ? null : parseXml(bytes);
}
