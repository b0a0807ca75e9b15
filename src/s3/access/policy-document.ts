/** Where a bucket's policy is kept: its text as it was put, and the name of the bucket, which the rules for resources need. */
import type { BucketDocument } from '../bucket-configuration.js';
import { asFields, textField } from '../stored-fields.js';
import { parsePolicy, type BucketPolicy } from './policy.js';

export const POLICY_DOCUMENT: BucketDocument<BucketPolicy> = {
  kind: 'policy',
  encode: ({ bucketName, text }) => JSON.stringify({ bucketName, text }),
  decode: (stored) => {
    const fields = asFields(JSON.parse(stored));
    return parsePolicy(textField(fields, 'text'), textField(fields, 'bucketName'));
  },
};
