/**
 * The features that the suite's tests are about, and where their claims stand in our words: those tests run in CI, which can't fetch
 * the suite. The first pattern that fits a test's name decides.
 */
export interface Feature {
  readonly name: string;
  readonly pattern: RegExp;
  /** Below test/. Empty: Tally does not have the feature. */
  readonly ours: readonly string[];
}

const unit = (...names: string[]): string[] => names.map((name) => `unit/s3/${name}.test.ts`);

export const FEATURES: readonly Feature[] = [
  { name: 'bad headers', pattern: /^test_headers\.py/, ours: unit('sigv4', 'payload', 'connections') },
  { name: 'bucket logging', pattern: /logging/, ours: [] },
  { name: 'object lock', pattern: /object_lock/, ours: unit('tagging-and-lock') },
  {
    name: 'encryption',
    pattern: /encrypt|sse_|kms|_enc_|copy_enc|copy_part_enc/,
    ours: unit('encryption', 'sealed-pieces'),
  },
  {
    name: 'lifecycle',
    pattern: /lifecycle|transition|cloud|restore|read_through|delete_marker_(exp|susp|nonv|vers)/,
    ours: unit('lifecycle'),
  },
  { name: 'POST forms', pattern: /post_object/, ours: unit('post-object') },
  { name: 'CORS', pattern: /cors/, ours: unit('cors') },
  { name: 'public access', pattern: /public|policy_status/, ours: unit('access', 'policy') },
  { name: 'bucket policy', pattern: /policy|expected_bucket_owner/, ours: unit('policy') },
  { name: 'tagging', pattern: /tag(?!_)|tags_|tagset/, ours: unit('tagging-and-lock') },
  {
    name: 'conditions',
    pattern: /if_?match|if_?non|ifmodified|ifunmodified|conditional|if_last_modified|if_size/,
    ours: unit('objects', 'versioning', 'copy-object', 'multipart'),
  },
  {
    name: 'checksums',
    pattern: /checksum|crc|sha(1|256)/,
    ours: unit('payload', 'checksums', 'combined-checksums'),
  },
  {
    name: 'multipart',
    pattern: /multipart|upload_part|part_number|copy_part|get_part/,
    ours: unit('multipart'),
  },
  { name: 'versions', pattern: /version/, ours: unit('versioning', 'versioning-crashes') },
  { name: 'copies', pattern: /copy/, ours: unit('copy-object') },
  { name: 'access control lists', pattern: /acl|access_bucket|grant|anon|ownership/, ours: unit('access') },
  { name: 'listings', pattern: /list/, ours: unit('listing', 'buckets') },
  { name: 'presigned URLs', pattern: /raw|presigned|expires/, ours: unit('presigned') },
  {
    name: 'ranges and appends',
    pattern: /range|atomic|append|100_continue/,
    ours: unit('objects', 'range-writes'),
  },
  { name: 'buckets', pattern: /bucket/, ours: unit('buckets') },
  { name: 'objects', pattern: /./, ours: unit('objects') },
];

export function featureOf(id: string): Feature {
  const feature = FEATURES.find(({ pattern }) => pattern.test(id));
  if (feature === undefined) throw new Error(`no feature has ${id}`);
  return feature;
}
