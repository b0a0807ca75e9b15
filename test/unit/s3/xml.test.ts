import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../../../src/s3/errors.js';
import { childrenNamed, childText, parseXml } from '../../../src/s3/xml/parse.js';
import { document, escapeXml, textElement } from '../../../src/s3/xml/render.js';
import { encodeName } from '../../../src/s3/uri.js';

function parse(text: string): ReturnType<typeof parseXml> {
  return parseXml(Buffer.from(text));
}

describe('XML in', () => {
  it('is a tree of local names and exact text', () => {
    const root = parse(
      '<?xml version="1.0"?><s3:A xmlns:s3="x"><B> 007 </B><!-- c --><B><![CDATA[<&>]]></B></s3:A>',
    );
    expect(root.name).toBe('A');
    expect(childrenNamed(root, 'B').map(({ text }) => text)).toEqual([' 007 ', '<&>']);
    expect(childText(root, 'C')).toBeNull();
  });

  it.each([
    ['nothing', ''],
    ['only a declaration', '<?xml version="1.0"?>'],
    ['two roots', '<a/><b/>'],
    ['crossed elements', '<a><b></a></b>'],
    ['an open element', '<a><b></b>'],
    ['text outside', '<a/>text'],
    ['an unquoted attribute', '<a b=c/>'],
    ['an unknown entity', '<a>&nbsp;</a>'],
    ['a billion laughs', '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'],
    ['17 levels', '<a>'.repeat(17) + '</a>'.repeat(17)],
    ['100,000 elements', `<a>${'<b/>'.repeat(100_000)}</a>`],
    ['a NUL', '<a>\u0000</a>'],
  ])('with %s is MalformedXML', (_claim, text) => {
    expect(() => parse(text)).toThrow(S3Error);
    expect(() => parse(text)).toThrow(/not well-formed/);
  });

  it('arbitrary text is parsed or refused as MalformedXML, nothing else', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('<', '>', '/', 'a', '&', ';', '!', '[', ']', '"', '=', '?', ' ', '-', 'é')),
        (parts) => {
          try {
            parse(parts.join(''));
          } catch (error) {
            if (!(error instanceof S3Error) || error.code !== 'MalformedXML') throw error;
          }
        },
      ),
    );
  });
});

describe('XML out', () => {
  it('escapes what XML needs, and writes control characters as references', () => {
    expect(escapeXml('a<b>&"\u0001\r\n\uffff')).toBe('a&lt;b&gt;&amp;&quot;&#x1;&#xD;&#xA;&#xFFFF;');
  });

  it('NUL, which no reference may name, is replaced: an error about a path with %00 is a document', () => {
    expect(escapeXml('/bucket\u0000')).toBe('/bucket\ufffd');
  });

  it('any text that XML can carry comes back from our own parser', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // eslint-disable-next-line no-control-regex -- what XML 1.0 can't carry is left out
        const carried = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');
        expect(parse(document('A', textElement('B', carried))).children[0]?.text).toBe(carried);
      }),
    );
  });

  it('encoding-type=url decodes to the same name, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(encodeName(text)).toMatch(/^[\w.~/%-]*$/);
        expect(decodeURIComponent(encodeName(text))).toBe(text);
      }),
    );
  });
});
