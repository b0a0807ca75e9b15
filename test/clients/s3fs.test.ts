/** A bucket as a folder, through FUSE: it needs /dev/fuse. All that touches the folder is another process, so that this one never waits for it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ClientProgram } from '../support/client-program.js';
import { type ClientClaim, testInBothSettings, type Workplace } from './both-settings.js';
import { writeTree } from './file-tree.js';

const MIB = 1024 * 1024;
/** The last one goes over to parts. */
const FILES = { 'a.txt': 12, 'sub/b.bin': 400_000, 'sub/ü c.txt': 3, 'large.bin': 26 * MIB + 3 };

class MountedBucket {
  readonly #place: Workplace;
  readonly #mountPoint: string;
  readonly #s3fs = new ClientProgram({ name: 's3fs', debianPackage: 's3fs' });
  readonly #shell: ClientProgram;

  constructor(place: Workplace) {
    this.#place = place;
    this.#mountPoint = join(place.folder, 'mounted');
    const environment = { IN: join(place.folder, 'in'), MOUNTED: this.#mountPoint, LC_ALL: 'C.UTF-8' };
    this.#shell = new ClientProgram({ name: 'bash', debianPackage: 'bash' }, environment);
    mkdirSync(this.#mountPoint);
    writeTree(environment.IN, FILES);
  }

  async mount(): Promise<void> {
    const { system, bucket, folder } = this.#place;
    const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
    const keys = join(folder, 'keys');
    writeFileSync(keys, `${accessKeyId}:${secretAccessKey}`, { mode: 0o600 });
    const where = [`passwd_file=${keys}`, `url=${endpoint}`, `endpoint=${region}`];
    const how = ['use_path_request_style', 'sigv4', 'multipart_size=5', 'max_stat_cache_size=0'];
    await this.#s3fs.run(bucket, this.#mountPoint, '-o', [...where, ...how].join(','));
  }

  makeBucket(): Promise<void> {
    return this.#place.system.s3.createBucket(this.#place.bucket);
  }

  listKeys(): Promise<string[]> {
    return this.#place.system.s3.listKeys(this.#place.bucket);
  }

  unmount(): void {
    spawnSync('fusermount', ['-u', '-z', this.#mountPoint]);
  }

  /** Runs lines of shell that stop at the first failure. */
  do(...lines: readonly string[]): Promise<string> {
    return this.#shell.run('-euc', lines.join('\n'));
  }
}

const claims: readonly ClientClaim<MountedBucket>[] = [
  {
    name: 'mounts a bucket, which is empty',
    show: async (bucket) => {
      await bucket.makeBucket();
      await bucket.mount();
      expect(await bucket.do('ls -A "$MOUNTED"')).toBe('');
    },
  },
  {
    name: 'copies a folder in, with times and modes, some of it in parts',
    show: async (bucket) => {
      await bucket.do('cp -a "$IN" "$MOUNTED/tree"', 'diff -r "$IN" "$MOUNTED/tree"');
      const stamps = (root: string) =>
        bucket.do(`cd "${root}"`, 'find . -type f -printf "%P %s %Ts %m\\n" | sort');
      expect(await stamps('$MOUNTED/tree')).toBe(await stamps('$IN'));
      expect(await bucket.listKeys()).toContain('tree/sub/ü c.txt');
    },
  },
  {
    name: 'appends, overwrites in the middle and truncates',
    show: async (bucket) => {
      await bucket.do(
        'cd "$MOUNTED"',
        'printf 0123456789 > digits',
        'printf abc >> digits',
        'printf XY | dd of=digits bs=1 seek=4 conv=notrunc status=none',
        'test "$(cat digits)" = 0123XY6789abc',
        'truncate -s 6 digits',
        'test "$(cat digits)" = 0123XY',
      );
    },
  },
  {
    name: 'renames a file and a folder',
    show: async (bucket) => {
      await bucket.do('cd "$MOUNTED"', 'mv digits numbers', 'mv tree moved', 'diff -r "$IN" moved');
      expect(await bucket.listKeys()).not.toContain('digits');
    },
  },
  {
    name: 'removes everything',
    show: async (bucket) => {
      await bucket.do('rm -r "$MOUNTED"/*', 'test -z "$(ls -A "$MOUNTED")"');
      expect(await bucket.listKeys()).toEqual([]);
    },
  },
];

testInBothSettings({
  client: 's3fs',
  connect: (place) => new MountedBucket(place),
  disconnect: (bucket) => bucket.unmount(),
  startupMs: 200,
  claims,
});
