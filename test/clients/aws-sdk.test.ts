import { testInBothSettings } from './both-settings.js';
import { connectSdk } from './sdk.js';
import { objectClaims } from './sdk-object-claims.js';
import { presignedClaims } from './sdk-presigned-claims.js';
import { uploadClaims } from './sdk-upload-claims.js';
import { versionClaims } from './sdk-version-claims.js';

const [makesBucket, ...rest] = objectClaims;
const removesBucket = rest.pop();
if (makesBucket === undefined || removesBucket === undefined)
  throw new Error('the first claim makes a bucket');

testInBothSettings({
  client: 'AWS SDK for JavaScript v3',
  connect: connectSdk,
  disconnect: ({ client }) => client.destroy(),
  claims: [makesBucket, ...rest, ...versionClaims, ...presignedClaims, ...uploadClaims, removesBucket],
});
