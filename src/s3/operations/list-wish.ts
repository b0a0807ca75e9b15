/** What listings of objects and of versions have in common: their parameters, and how names and owners are written. */
import { LIST_LIMIT_MAX } from '../../gateway/object-storage.js';
import { ownerOf } from '../access/owner.js';
import type { ObjectAccess } from '../access/settings.js';
import type { BucketContext } from './context.js';
import { S3Error } from '../errors.js';
import { encodeName } from '../uri.js';
import { element, textElement } from '../xml/render.js';
import { readCount } from './paging.js';

export interface ListWish {
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  readonly encodes: boolean;
}

export function readListWish(query: ReadonlyMap<string, string>): ListWish {
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== 'url') {
    throw new S3Error('InvalidArgument', {
      message: 'Invalid Encoding Method specified in Request',
      details: { ArgumentName: 'encoding-type', ArgumentValue: encoding.slice(0, 64) },
    });
  }
  if (query.get('allow-unordered') === 'true' && (query.get('delimiter') ?? '') !== '') {
    throw new S3Error('InvalidArgument', {
      message: 'A listing in any order has no delimiter',
      details: { ArgumentName: 'allow-unordered', ArgumentValue: 'true' },
    });
  }
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    limit: readCount(query, 'max-keys', LIST_LIMIT_MAX),
    encodes: encoding === 'url',
  };
}

/** Writes names, encoded when the client asked for it. */
export type NameElement = (name: string, text: string) => string;

export function nameWriter(wish: ListWish): NameElement {
  return (name, text) => textElement(name, wish.encodes ? encodeName(text) : text);
}

/** Writes whose an object is. */
export type OwnerElement = (access: ObjectAccess | null) => string;

export function ownerWriter(context: BucketContext): OwnerElement {
  return (access) => {
    const { id, displayName } = ownerOf(context, access);
    return element('Owner', textElement('ID', id), textElement('DisplayName', displayName));
  };
}
