/** boto3's claims are in Python, one process for all of them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ClientProgram } from '../support/client-program.js';
import { repositoryRoot } from '../support/repository.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';

const SCRIPT = join(repositoryRoot, 'test', 'clients', 'boto3_claims.py');

const python = new ClientProgram({
  name: 'python3',
  debianPackage: 'python3-boto3',
  version: /^boto3 /,
  asks: ['-c', 'import boto3; print("boto3", boto3.__version__)'],
});

class Boto3 {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor({ system, bucket, folder }: Workplace) {
    const { accessKeyId, secretAccessKey, region, endpoint } = system.access;
    const child = spawn(python.path, [SCRIPT], {
      env: {
        PATH: process.env['PATH'] ?? '',
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_DEFAULT_REGION: region,
        AWS_EC2_METADATA_DISABLED: 'true',
        TALLY_TEST_ENDPOINT: endpoint,
        TALLY_TEST_BUCKET: bucket,
        TALLY_TEST_FOLDER: folder,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async show(name: string): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify(name)}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error('the Python process ended');
    const problem = JSON.parse(answer.value) as string | null;
    if (problem !== null) throw new Error(problem);
  }

  end(): void {
    this.#child.kill();
  }
}

function readClaims(): ClientClaim<Boto3>[] {
  const { stdout, stderr } = spawnSync(python.path, [SCRIPT, '--names'], { encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as string[]).map((name) => ({ name, show: (boto3) => boto3.show(name) }));
}

testInBothSettings({
  client: 'boto3',
  connect: (place) => new Boto3(place),
  disconnect: (boto3) => boto3.end(),
  claims: readClaims(),
});
