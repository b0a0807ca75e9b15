/** The units of packaging/systemd, as systemd itself sees them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const units = join(import.meta.dirname, '../../packaging/systemd');
/** Of 100; a service without any hardening has 96. */
const EXPOSURE_MAX = '20';

/** What strace saw of a gateway with two workers and of its OSDs, on Node 20: start, uploads, reads. */
const CALLS = `
accept4 access arch_prctl bind brk capget clone clone3 close connect dup2 epoll_create1 epoll_ctl
epoll_pwait eventfd2 execve fcntl fdatasync fstat fsync futex getcwd getdents64 getegid geteuid
getgid getpeername getpid getrandom getsockname getsockopt gettid getuid ioctl listen lseek madvise
mkdir mmap mprotect munmap newfstatat open openat pipe2 pkey_alloc prctl pread64 prlimit64 read
readlink recvmsg rename rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sendmsg
set_robust_list set_tid_address setsockopt shutdown socket socketpair stat statfs statx sysinfo
uname unlink write writev
`;

let folder: string;

/** The calls of each named set, sets of sets included. */
function callsOf(name: string): readonly string[] {
  if (!name.startsWith('@')) return [name];
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter', name], { encoding: 'utf8' });
  const members = stdout
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  return members.filter((line) => line !== '' && !line.startsWith('#')).flatMap(callsOf);
}

/** What the lines of a unit let through, in their order. */
function allowedCalls(unit: string): ReadonlySet<string> {
  const allowed = new Set<string>();
  for (const [, not, names = ''] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)) {
    for (const call of names.split(' ').flatMap(callsOf)) {
      if (not === '~') allowed.delete(call);
      else allowed.add(call);
    }
  }
  return allowed;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tally-units-'));
  for (const name of readdirSync(units).filter((file) => file.endsWith('.service'))) {
    // Tally itself need not be installed here.
    const text = readFileSync(join(units, name), 'utf8').replace('ExecStart=tally ', 'ExecStart=/bin/true ');
    writeFileSync(join(folder, name.replace('@', '@osd-0')), text);
  }
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function analyze(...args: string[]) {
  const ran = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status: ran.status, output: `${ran.error?.message ?? ''}${ran.stderr}` };
}

describe.each(['tally-gateway.service', 'tally-osd@osd-0.service'])('%s', (name) => {
  it('is a unit without a complaint', () => {
    expect(analyze('verify', '--man=no', join(folder, name))).toEqual({ status: 0, output: '' });
  });

  it('lets Node do what it does, and kills it for nothing', () => {
    const unit = readFileSync(join(folder, name), 'utf8');
    const allowed = allowedCalls(unit);
    expect(
      CALLS.trim()
        .split(/\s+/)
        .filter((call) => !allowed.has(call)),
    ).toEqual([]);
    expect(allowed.has('mount')).toBe(false);
    expect(unit).toContain('\nSystemCallErrorNumber=EPERM\n');
  });

  it('is hardened', () => {
    const { status } = analyze(
      'security',
      '--offline=true',
      `--threshold=${EXPOSURE_MAX}`,
      join(folder, name),
    );
    expect(status).toBe(0);
  });
});
