/** Object and bucket tagging (UserGuide "Categorizing your storage using tags"): reading, limits, writing. */
import { compareUtf8 } from '../protocol/object-id.js';
import type { TagSet } from './bucket-configuration.js';
import { S3Error } from './errors.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from './xml/parse.js';
import { element, textElement } from './xml/render.js';

const OBJECT_TAGS_MAX = 10;
const BUCKET_TAGS_MAX = 50;
const KEY_CHARACTERS_MAX = 128;
const VALUE_CHARACTERS_MAX = 256;

function invalidTag(message: string): S3Error {
  return new S3Error('InvalidTag', { message });
}

function checkTag(key: string, value: string): void {
  if (key === '' || key.length > KEY_CHARACTERS_MAX) {
    throw invalidTag('The TagKey you have provided is invalid');
  }
  if (value.length > VALUE_CHARACTERS_MAX) throw invalidTag('The TagValue you have provided is invalid');
  if (!key.isWellFormed() || !value.isWellFormed()) throw invalidTag('A tag must be well-formed Unicode');
}

/** Throws S3Error InvalidTag. */
function checkTagSet(tags: TagSet, tagsMax: number): TagSet {
  if (tags.length > tagsMax) throw invalidTag(`Object tags cannot be greater than ${tagsMax}`);
  for (const [key, value] of tags) checkTag(key, value);
  const keys = new Set(tags.map(([key]) => key));
  if (keys.size < tags.length) throw invalidTag('Cannot provide multiple Tags with the same key');
  return tags;
}

export function checkObjectTags(tags: TagSet): TagSet {
  return checkTagSet(tags, OBJECT_TAGS_MAX);
}

/** Of an element with Key and Value. Throws S3Error MalformedXML. */
export function readTag(item: XmlElement): readonly [key: string, value: string] {
  checkChildren(item, ['Key', 'Value']);
  const key = childText(item, 'Key');
  const value = childText(item, 'Value');
  if (key === null || value === null) throw new S3Error('MalformedXML');
  return [key, value];
}

function readTagging(root: XmlElement | null): TagSet {
  if (root?.name !== 'Tagging') throw new S3Error('MalformedXML');
  checkChildren(root, ['TagSet']);
  const [set, second] = childrenNamed(root, 'TagSet');
  if (set === undefined || second !== undefined) throw new S3Error('MalformedXML');
  checkChildren(set, ['Tag']);
  return set.children.map(readTag);
}

/** The body of PutObjectTagging. Throws S3Error MalformedXML or InvalidTag. */
export function readObjectTagging(root: XmlElement | null): TagSet {
  return checkTagSet(readTagging(root), OBJECT_TAGS_MAX);
}

/** The body of PutBucketTagging. Throws S3Error MalformedXML or InvalidTag. */
export function readBucketTagging(root: XmlElement | null): TagSet {
  return checkTagSet(readTagging(root), BUCKET_TAGS_MAX);
}

/** The content of `Tagging`, in order of the keys. */
export function tagSetElement(tags: TagSet): string {
  const sorted = [...tags].sort(([left], [right]) => compareUtf8(left, right));
  const items = sorted.map(([key, value]) =>
    element('Tag', textElement('Key', key), textElement('Value', value)),
  );
  return element('TagSet', ...items);
}

/** The value of x-amz-tagging: `key=value&…`, encoded like a query. Throws S3Error InvalidArgument or InvalidTag. */
export function parseTaggingHeader(text: string): TagSet {
  const fields = text.split('&').filter((field) => field !== '');
  const tags = fields.map((field): readonly [string, string] => {
    const mark = field.indexOf('=');
    const parts = mark < 0 ? [field, ''] : [field.slice(0, mark), field.slice(mark + 1)];
    try {
      const [key = '', value = ''] = parts.map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
      return [key, value];
    } catch (cause) {
      throw new S3Error('InvalidArgument', {
        message: 'The header x-amz-tagging must be encoded as URL query parameters.',
        details: { ArgumentName: 'x-amz-tagging' },
        cause,
      });
    }
  });
  return checkTagSet(tags, OBJECT_TAGS_MAX);
}
