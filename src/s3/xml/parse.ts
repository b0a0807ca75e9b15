/**
 * Reads the small XML documents of S3 requests into trees.
 *
 * Refused with MalformedXML: anything not well-formed, document types (so no entities beyond the five of XML), bytes
 * that are no UTF-8, more than DEPTH_MAX levels or ELEMENTS_MAX elements. Namespace prefixes are dropped; attributes are
 * not kept.
 */
import { SaxesParser } from 'saxes';
import { S3Error } from '../errors.js';

const DEPTH_MAX = 16;
const ELEMENTS_MAX = 50_000;

export interface XmlElement {
  /** Without a namespace prefix. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** The character data directly in this element, unchanged. */
  readonly text: string;
}

interface OpenElement {
  name: string;
  children: OpenElement[];
  text: string;
}

function malformed(cause: unknown): S3Error {
  return new S3Error('MalformedXML', { cause });
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
}

/** Parses a document and returns its root element. Throws S3Error MalformedXML. */
export function parseXml(bytes: Buffer): XmlElement {
  const text = decodeUtf8(bytes);
  const parser = new SaxesParser({ xmlns: false, position: false });
  const open: OpenElement[] = [];
  const roots: OpenElement[] = [];
  let elements = 0;
  parser.on('error', (error) => {
    throw malformed(error);
  });
  parser.on('doctype', () => {
    throw malformed(new Error('document types are not accepted'));
  });
  parser.on('opentag', (tag) => {
    elements += 1;
    if (open.length >= DEPTH_MAX || elements > ELEMENTS_MAX)
      throw malformed(new Error('the document is too deep or large'));
    const element: OpenElement = { name: tag.name.slice(tag.name.indexOf(':') + 1), children: [], text: '' };
    const parent = open.at(-1);
    if (parent === undefined) roots.push(element);
    else parent.children.push(element);
    open.push(element);
  });
  const onText = (piece: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += piece;
  };
  parser.on('text', onText);
  parser.on('cdata', onText);
  parser.on('closetag', () => {
    open.pop();
  });
  parser.write(text).close();
  const [root] = roots;
  if (root === undefined) throw malformed(new Error('there is no element'));
  return root;
}

export function childrenNamed(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** The text of the only child of that name; null without one. Throws S3Error MalformedXML when there are several. */
export function childText(element: XmlElement, name: string): string | null {
  const [first, second] = childrenNamed(element, name);
  if (second !== undefined) throw malformed(new Error(`${name} is there twice`));
  return first?.text ?? null;
}

/** Throws S3Error MalformedXML when the element has children of other names. */
export function checkChildren(element: XmlElement, names: readonly string[]): void {
  const stranger = element.children.find((child) => !names.includes(child.name));
  if (stranger !== undefined) throw malformed(new Error(`unexpected ${stranger.name}`));
}
