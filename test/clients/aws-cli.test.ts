import { AwsCli, awsCliClaims } from './aws-cli-claims.js';
import { testInBothSettings } from './both-settings.js';

testInBothSettings({
  client: 'aws',
  connect: (place) => new AwsCli(place),
  startupMs: 700,
  claims: awsCliClaims,
});
