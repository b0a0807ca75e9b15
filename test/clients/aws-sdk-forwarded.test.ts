import { testForwarded } from './both-settings.js';
import { connectSdk } from './sdk.js';
import { objectClaims } from './sdk-object-claims.js';
import { uploadClaims } from './sdk-upload-claims.js';

const [makesBucket, ...rest] = objectClaims;
const removesBucket = rest.pop();
if (makesBucket === undefined || removesBucket === undefined)
  throw new Error('the first claim makes a bucket');

testForwarded({
  client: 'AWS SDK for JavaScript v3',
  connect: connectSdk,
  disconnect: ({ client }) => client.destroy(),
  claims: [makesBucket, ...rest, ...uploadClaims, removesBucket],
});
