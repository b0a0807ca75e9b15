/**
 * Writes S3's XML documents. Names with characters that XML 1.0 can't carry (U+0001 to U+001F, U+FFFE, U+FFFF) go out as character
 * references, as S3 does it: no strict parser takes these, which is what `encoding-type=url` is for, but no name is ever
 * changed silently. Errors, which are for people, have U+FFFD in their place (`legibleText`).
 */

/* eslint-disable no-control-regex -- control characters are what is looked for */
const SPECIAL = /[&<>"\u0000-\u001f\ufffe\uffff]/;
const SPECIAL_ALL = /[&<>"\u0000-\u001f\ufffe\uffff]/g;
const UNSPEAKABLE_ALL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
/* eslint-enable no-control-regex */
/** NUL can't even be referred to. No name has it, so it comes only from a request that is refused and told what it asked for. */
const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\u0000': '\ufffd',
};

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const XML_CONTENT_TYPE = 'application/xml';
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

export function escapeXml(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replace(
    SPECIAL_ALL,
    (character) => NAMED[character] ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`,
  );
}

/** Text for people: what XML 1.0 can carry in no form at all, not even as a reference, is replaced. */
export function legibleText(text: string): string {
  return text.replace(UNSPEAKABLE_ALL, '\ufffd');
}

/** An element with text. */
export function textElement(name: string, text: string | number | boolean): string {
  return `<${name}>${escapeXml(String(text))}</${name}>`;
}

/** An element with text, or nothing when there is none. */
export function optionalElement(name: string, text: string | null): string {
  return text === null ? '' : textElement(name, text);
}

/** An element with content that is XML already. */
export function element(name: string, ...content: readonly string[]): string {
  let text = `<${name}>`;
  for (const part of content) text += part;
  return `${text}</${name}>`;
}

/** A whole document in S3's namespace. */
export function document(name: string, ...content: readonly string[]): string {
  return `${XML_DECLARATION}<${name} xmlns="${NAMESPACE}">${content.join('')}</${name}>`;
}
