/** GetObjectTagging, PutObjectTagging and DeleteObjectTagging (S3 API reference). Last-Modified stays. */
import type { TagSet } from '../bucket-configuration.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { readObjectTagging, tagSetElement } from '../tagging.js';
import { annotateObject } from './annotate-object.js';
import type { ObjectContext } from './context.js';
import { requireVersion, versionNameHeaders } from './find-version.js';
import { xmlAnswer } from './xml-answer.js';

export async function getObjectTagging(context: ObjectContext): Promise<S3Response> {
  const { attributes } = await requireVersion(context);
  const answer = xmlAnswer('Tagging', tagSetElement(attributes.tags));
  return { ...answer, headers: [...answer.headers, ...versionNameHeaders(context.bucket, attributes)] };
}

async function setTags(context: ObjectContext, tags: TagSet, status: number): Promise<S3Response> {
  const { attributes } = await annotateObject(context, (before) => ({ ...before, tags }));
  return { status, headers: versionNameHeaders(context.bucket, attributes), body: NO_BODY };
}

export async function putObjectTagging(context: ObjectContext): Promise<S3Response> {
  return setTags(context, readObjectTagging(await readDocument(context)), 200);
}

export function deleteObjectTagging(context: ObjectContext): Promise<S3Response> {
  return setTags(context, [], 204);
}
