/** What holds of every answer, whatever was asked. */
import { parseXml } from '../../src/s3/xml/parse.js';
import type { RawAnswer, RawExchange } from './raw-exchange.js';
import { parseAnswers } from './raw-exchange.js';
import type { FuzzCase } from './spoiled-requests.js';

const UNSUPPORTED = 501;
const UNAVAILABLE = 503;

function describe({ status, body }: RawAnswer): string {
  return `${status} ${body.toString('latin1').slice(0, 600)}`;
}

function checkErrorDocument(answer: RawAnswer): void {
  const root = parseXml(answer.body);
  const code = root.children.find(({ name }) => name === 'Code')?.text ?? '';
  if (root.name !== 'Error' || code === '') throw new Error(`an error without its code: ${describe(answer)}`);
}

function checkAnswer(answer: RawAnswer): void {
  const { status, headers, body } = answer;
  if (status >= 500 && status !== UNSUPPORTED && status !== UNAVAILABLE)
    throw new Error(`a failure of ours: ${describe(answer)}`);
  const isXml = headers.get('content-type') === 'application/xml';
  if (status >= 400 && body.length > 0 && !isXml)
    throw new Error(`an error that is no XML: ${describe(answer)}`);
  if (status >= 400 && body.length > 0) checkErrorDocument(answer);
  else if (isXml && body.length > 0 && !headers.has('etag')) parseXml(body);
}

/** True for a request that only its signature could tell from a valid one: whoever has no key has changed what was signed. */
function isTampered(fuzz: FuzzCase): boolean {
  return fuzz.kind === 'spoiled' && !fuzz.isSigned && fuzz.spoiling.what === 'query';
}

/** Throws an Error that says what does not hold. */
export function checkExchange(fuzz: FuzzCase, { received, ending }: RawExchange): void {
  if (ending === 'hung') throw new Error('the connection hangs');
  const isCut = ending === 'reset' || fuzz.kind === 'gone';
  const answers = parseAnswers(received, isCut);
  for (const answer of answers) checkAnswer(answer);
  if (isTampered(fuzz) && answers.some(({ status }) => status < 400))
    throw new Error(`what was signed was changed, and it was answered with ${answers[0]?.status ?? 0}`);
}
