/** Bytes out, bytes in, over a socket of its own: what a client program would never send, and all that comes back. */
import { connect } from 'node:net';

export type Ending =
  /** The server closed in order. */
  | 'closed'
  /** It reset the connection, which it may when it refuses what is still being sent. */
  | 'reset'
  | 'hung';

export interface RawExchange {
  readonly received: Buffer;
  readonly ending: Ending;
}

export interface RawRequest {
  readonly bytes: Buffer;
  /** How the client leaves: it ends its side and listens on, or it is gone at once. */
  readonly leaves: 'end' | 'destroy';
}

/** Longer than anything waits in the gateway when a client has ended its side. */
const ANSWER_WITHIN_MS = 40_000;

export function exchangeRaw(port: number, { bytes, leaves }: RawRequest): Promise<RawExchange> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let ending: Ending = 'closed';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
      if (leaves === 'end') socket.end(bytes);
      else socket.write(bytes, () => socket.destroy());
    });
    const timer = setTimeout(() => {
      ending = 'hung';
      socket.destroy();
    }, ANSWER_WITHIN_MS);
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('end', () => socket.end());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') reject(error);
      ending = 'reset';
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ received: Buffer.concat(pieces), ending });
    });
  });
}

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

function parseHead(head: string): { status: number; headers: Map<string, string> } {
  const [first = '', ...lines] = head.split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1];
  if (status === undefined)
    throw new Error(`no HTTP answer begins with ${JSON.stringify(first.slice(0, 100))}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`no header: ${JSON.stringify(line.slice(0, 100))}`);
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(status), headers };
}

/** An answer to HEAD has the length of a body and none; to a request that could not be read it has one, whatever it was. */
function hasBody(status: number, rest: Buffer): boolean {
  return (
    status !== 204 &&
    status !== 304 &&
    rest.length > 0 &&
    !rest.subarray(0, 9).equals(Buffer.from('HTTP/1.1 '))
  );
}

/** Takes apart what was received, interim answers left out. A last answer that was cut short counts when `isCut` allows it. */
export function parseAnswers(received: Buffer, isCut: boolean): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = received;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) {
      if (isCut) return answers;
      throw new Error(`an answer without an end of its headers: ${rest.toString('latin1').slice(0, 200)}`);
    }
    const { status, headers } = parseHead(rest.subarray(0, end).toString('latin1'));
    rest = rest.subarray(end + 4);
    if (status < 200) continue;
    const lengthBytes = hasBody(status, rest) ? Number(headers.get('content-length') ?? NaN) : 0;
    if (Number.isNaN(lengthBytes)) throw new Error('an answer whose body has no length');
    if (rest.length < lengthBytes) {
      if (isCut) return answers;
      throw new Error(`an answer of ${lengthBytes} bytes ends after ${rest.length}`);
    }
    answers.push({ status, headers, body: rest.subarray(0, lengthBytes) });
    rest = rest.subarray(lengthBytes);
  }
  return answers;
}
