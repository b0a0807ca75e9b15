/** The head of a request of HTTP/1.1 (RFC 9112), for the connections that are our own. */
import { invariant } from '../protocol/invariant.js';
import type { HttpRequest } from './http-exchange.js';

const LINE_END = /[\r\n]/;

/** What says how long the body is, if there is one, is among the headers. */
export function encodeRequestHead(
  host: string,
  { method, path, headers }: Pick<HttpRequest, 'method' | 'path' | 'headers'>,
): string {
  const texts = [path, ...headers];
  invariant(!texts.some((text) => LINE_END.test(text)), 'no part of a request ends a line');
  let lines = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (let index = 0; index < headers.length; index += 2)
    lines += `${headers[index] ?? ''}: ${headers[index + 1] ?? ''}\r\n`;
  return `${lines}\r\n`;
}
