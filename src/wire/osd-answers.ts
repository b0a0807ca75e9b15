/** What the answers of an OSD mean to whoever asked: its refusals, and what is no answer at all. */
import { BytesBody } from './bytes-body.js';
import { OSD_ERROR_STATUS, type OsdErrorCode } from './error-codes.js';
import type { HttpAnswer } from './http-exchange.js';
import { MalformedMessage } from './malformed-message.js';
import { refusalAnswer } from './messages.js';
import { OsdRefusal, OsdUnreachable, type RemoteRead } from './osd-connection.js';
import type { BatchedReply } from './reads-frame.js';

/** What a peer does not understand is as good as no answer: nobody knows what the OSD did. */
export function unintelligible(error: unknown): Error {
  if (!(error instanceof MalformedMessage)) return error instanceof Error ? error : new Error(String(error));
  return new OsdUnreachable(`the OSD's answer is unintelligible: ${error.message}`, true, { cause: error });
}

export function understand<Value>(decode: () => Value): Value {
  try {
    return decode();
  } catch (error) {
    throw unintelligible(error);
  }
}

export function refusalOf(answer: Pick<HttpAnswer, 'status' | 'body'>): Error {
  return understand(() => {
    const { code, message } = refusalAnswer.decodeBytes(answer.body);
    return new OsdRefusal(code, answer.status, message);
  });
}

export function nullIfAbsent(refusal: Error): null {
  if (
    refusal instanceof OsdRefusal &&
    refusal.code === ('no-such-object' satisfies keyof typeof OSD_ERROR_STATUS)
  )
    return null;
  throw refusal;
}

export function absentOrRefused(reply: Extract<BatchedReply, { kind: 'absent' | 'refused' }>): null {
  if (reply.kind === 'absent') return null;
  const { code, message } = reply;
  throw new OsdRefusal(code, isErrorCode(code) ? OSD_ERROR_STATUS[code] : 500, message);
}

function isErrorCode(code: string): code is OsdErrorCode {
  return Object.hasOwn(OSD_ERROR_STATUS, code);
}

export function readOfReply(reply: Exclude<BatchedReply, { kind: 'alone' }>): RemoteRead | null {
  if (reply.kind !== 'here') return absentOrRefused(reply);
  const { state, extent, bytes } = reply;
  return { state, extent, bytes, body: new BytesBody(bytes) };
}

export function failedRead(code: string | undefined): Error {
  if (code === 'damaged') {
    return new OsdRefusal(code, OSD_ERROR_STATUS[code], 'stored bytes fail their checksum');
  }
  return new OsdUnreachable(`the read ended early${code === undefined ? '' : `: ${code}`}`, true);
}
