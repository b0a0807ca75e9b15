import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  findHolder,
  FolderSocket,
  type JoinedService,
  type JoinListener,
  joinHolder,
} from '../../../src/cli/folder-socket.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();
const open: FolderSocket[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) await socket.close();
});

const nobody: JoinListener = { joined: () => {}, left: () => {} };

async function acquire(path: string, listener = nobody): Promise<FolderSocket> {
  const socket = await FolderSocket.acquire(path, 'tally up', listener);
  open.push(socket);
  return socket;
}

/** Listens on a unix socket in another process, and is killed without notice. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('on'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe("a folder's socket", () => {
  it('is held by one at a time, and tells who holds it', async () => {
    const path = join(temporary(), 'up.sock');
    expect(await findHolder(path)).toBeNull();
    const first = await acquire(path);
    expect(await findHolder(path)).toMatchObject({ command: 'tally up', processId: process.pid });
    await expect(acquire(path)).rejects.toThrow(
      `The folder ${temporary()} is in use by tally up (process ${process.pid}).`,
    );
    await first.close();
    await acquire(path);
  });

  it('of a process that was killed is taken over', async () => {
    const path = join(temporary(), 'up.sock');
    await leaveStaleSocket(path);
    await acquire(path);
    expect(await findHolder(path)).toMatchObject({ processId: process.pid });
  });

  it('of a process that was killed is taken over by one of many that try at once', async () => {
    const path = join(temporary(), 'up.sock');
    await leaveStaleSocket(path);
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => acquire(path)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('works in a folder whose path is longer than a socket may have', async () => {
    const folder = join(temporary(), 'x'.repeat(120));
    await mkdir(folder);
    const path = join(folder, 'up.sock');
    const first = await acquire(path);
    await expect(acquire(path)).rejects.toThrow('is in use by');
    await first.close();
    expect(await findHolder(path)).toBeNull();
  });

  it('lets a service join, asks it to stop, and notices when it goes', async () => {
    const path = join(temporary(), 'up.sock');
    const news: string[] = [];
    let service: JoinedService | null = null;
    await acquire(path, {
      joined: (joined) => {
        service = joined;
        news.push(`joined ${joined.name} ${joined.url}`);
      },
      left: ({ name }) => news.push(`left ${name}`),
    });
    const reasons: string[] = [];
    const member = await joinHolder(path, { name: 'osd-1', url: 'http://h:1' }, (reason) =>
      reasons.push(reason),
    );
    await expect.poll(() => news).toEqual(['joined osd-1 http://h:1']);
    expect(service).toMatchObject({ processId: process.pid });
    service!.stop();
    await expect.poll(() => reasons).toEqual(['tally up stops']);
    member!.leave();
    await expect.poll(() => news).toHaveLength(2);
    expect(reasons).toHaveLength(1);
  });

  it('tells who has joined when its holder is gone', async () => {
    const path = join(temporary(), 'up.sock');
    const holder = await acquire(path);
    const reasons: string[] = [];
    await joinHolder(path, { name: 'osd-1', url: 'http://h:1' }, (reason) => reasons.push(reason));
    await holder.close();
    await expect.poll(() => reasons).toEqual([`tally up (process ${process.pid}) is gone`]);
  });

  it('has one holder at a time, however many take it and let go of it at once', async () => {
    const path = join(temporary(), 'up.sock');
    let holders = 0;
    let turns = 0;
    const takeTurns = async (): Promise<void> => {
      while (turns < 150) {
        // Others were quicker.
        const held = await FolderSocket.acquire(path, 'tally user', nobody).catch(() => null);
        if (held === null) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        holders += 1;
        turns += 1;
        expect(holders).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        holders -= 1;
        await held.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, takeTurns));
  });

  it('cannot be joined where there is none', async () => {
    const member = await joinHolder(join(temporary(), 'up.sock'), { name: 'a', url: 'b' }, () => {});
    expect(member).toBeNull();
  });
});
