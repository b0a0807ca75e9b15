/** What is done besides the guide while it is gone through: what its reader would see by himself, and a cable that is pulled. */
import type { Machine } from './machine.js';
import type { Network } from './network.js';
import type { Transcript } from './transcript.js';

export interface Stage {
  readonly first: Machine;
  readonly second: Machine;
  readonly network: Network;
  readonly transcript: Transcript;
}

/** Types something that the guide does not have, and has it in the transcript. */
async function typeAlso({ transcript }: Stage, machine: Machine, text: string): Promise<string> {
  const output = await machine.type(text);
  transcript.ran(machine.name, text, output);
  return output;
}

function expectThat(isSo: boolean, claim: string, seen: string): void {
  if (!isSo) throw new Error(`it does not hold that ${claim}:\n${seen}`);
}

const WRITES = 60;

/** A client writes while the cable of the second machine is pulled and plugged in again. */
async function pullTheCable(stage: Stage): Promise<void> {
  const { first, second, network, transcript } = stage;
  transcript.heading('The cable between the machines is pulled while a client writes');
  transcript.remark('Not in the guide: one client puts an object after the other on the first machine.');
  await first.type('ls /etc | head -60 >/root/names');
  await typeAlso(
    stage,
    first,
    [
      `for number in $(seq ${WRITES}); do`,
      `  s3 -o /dev/null -w '%{http_code}\\n' -T /etc/os-release https://10.0.0.1:9000/photos/cable-$number`,
      '  sleep 0.2',
      'done >/root/answers 2>&1 &',
    ].join('\n'),
  );
  await first.type('until [ "$(wc -l </root/answers)" -ge 10 ]; do sleep 0.1; done');
  network.pull('second');
  transcript.remark('Now the cable of the second machine is pulled, in the middle of it.');
  await typeAlso(stage, second, 'ip -brief link show eth0');
  await first.type('until (status || true) | grep "osd-1 *away"; do sleep 0.2; done');
  const away = await typeAlso(stage, first, 'status || true');
  expectThat(/osd-1 +away/.test(away), 'osd-1 is away', away);
  await first.type(`until [ "$(wc -l </root/answers)" -ge ${WRITES} ]; do sleep 0.1; done`);
  const answers = await typeAlso(stage, first, 'sort /root/answers | uniq -c');
  expectThat(answers.trim() === `${WRITES} 200`, 'every write was answered with 200', answers);
  network.plugIn('second');
  transcript.remark('And plugged in again.');
  await typeAlso(stage, first, 'until status >/dev/null; do sleep 0.2; done; status');
  await typeAlso(
    stage,
    first,
    [
      `for number in $(seq ${WRITES}); do s3 https://10.0.0.1:9000/photos/cable-$number | cmp - /etc/os-release || echo lost; done`,
      'sudo -u tally tally verify --wait --config /etc/tally/tally.yaml',
    ].join('\n'),
  );
}

async function expectMutualTls(stage: Stage): Promise<void> {
  stage.transcript.remark('Not in the guide: an OSD talks to nobody who shows no certificate.');
  const told = await typeAlso(
    stage,
    stage.first,
    'curl -sS --cacert /etc/tally/ca.pem https://10.0.0.2:9010/health/live || echo refused',
  );
  expectThat(told.includes('refused'), 'who shows no certificate is refused', told);
  const live = await typeAlso(
    stage,
    stage.first,
    'cd /etc/tally && curl -sS --cacert ca.pem --cert machine.pem --key machine.key https://10.0.0.2:9010/health/live',
  );
  expectThat(!live.includes('curl:'), 'who shows one is served', live);
}

async function expectNewCertificate(stage: Stage): Promise<void> {
  const log = '/var/log/units/tally-osd@osd-1.log';
  await typeAlso(
    stage,
    stage.second,
    `until grep -o 'a new certificate is in use' ${log}; do sleep 0.5; done`,
  );
}

/** Everybody shows a certificate of the new authority and trusts that one alone, and nobody was left out on the way. */
async function expectNewAuthority(stage: Stage): Promise<void> {
  const { first, second, transcript } = stage;
  transcript.remark(
    'Not in the guide: what the OSD of the second machine shows now, and whom each machine trusts.',
  );
  const shown = await typeAlso(
    stage,
    first,
    'cd /etc/tally && openssl s_client -connect 10.0.0.2:9010 -CAfile ca.pem -cert machine.pem -key machine.key </dev/null 2>/dev/null | grep -E "^ *(issuer|Verif)"',
  );
  expectThat(/issuer=.*Tally \d{4}-\d\d-\d\d/.test(shown), 'its certificate is of the new authority', shown);
  expectThat(
    /Verif\w+( return code: 0 \(ok\)|: OK)/.test(shown),
    'who trusts the new one alone accepts it',
    shown,
  );
  for (const machine of [first, second]) {
    const trusted = await typeAlso(stage, machine, "grep -c 'BEGIN CERTIFICATE' /etc/tally/ca.pem");
    expectThat(trusted.trim() === '1', 'one authority is trusted', trusted);
  }
  const excluded = await typeAlso(
    stage,
    first,
    "sed -n '/a new certificate is in use/,$p' /var/log/units/tally-gateway.log | grep -c 'left out of the in-sync set' || true",
  );
  expectThat(excluded.trim() === '0', 'no mirror was left out meanwhile', excluded);
  const words = await typeAlso(
    stage,
    first,
    's3 https://10.0.0.1:9000/photos/first | cmp - /etc/os-release && echo the same bytes',
  );
  expectThat(words.includes('the same bytes'), 'a client that trusts the new one is served', words);
}

/** In the three steps nobody was left out: the epoch is the one of before. */
async function expectNewSecrets(stage: Stage): Promise<void> {
  const text = "grep -c 'the secret of the mirror set: read again' /var/log/units/tally-gateway.log";
  const told = await typeAlso(stage, stage.first, text);
  expectThat(told.trim() === '3', 'the gateway has taken the secret of each step', told);
  const excluded = await typeAlso(
    stage,
    stage.first,
    "sed -n '/the secret of the mirror set: read again/,$p' /var/log/units/tally-gateway.log | grep -c 'left out of the in-sync set' || true",
  );
  expectThat(excluded.trim() === '0', 'no mirror was left out meanwhile', excluded);
}

async function expectUpgraded(stage: Stage): Promise<void> {
  const { first, second } = stage;
  for (const machine of [first, second]) await typeAlso(stage, machine, 'tally --version');
  await typeAlso(
    stage,
    first,
    's3 https://10.0.0.1:9000/photos/first | cmp - /etc/os-release && echo the same bytes',
  );
}

async function expectWhole(stage: Stage): Promise<void> {
  await typeAlso(stage, stage.first, 'sudo -u tally tally verify --wait --config /etc/tally/tally.yaml');
}

async function expectMoved(stage: Stage): Promise<void> {
  const text = 's3 https://10.0.0.2:9000/photos/first | cmp - /etc/os-release && echo the same bytes';
  const words = await typeAlso(stage, stage.first, text);
  expectThat(words.includes('the same bytes'), 'the gateway on the second machine serves', words);
}

/** The power fails on both machines, and the first one does not come back. */
async function cutThePower(stage: Stage): Promise<void> {
  const { second, network, transcript } = stage;
  transcript.heading('The power fails on both machines, and the first one stays dark');
  transcript.remark(
    'Not in the guide: its cable is pulled, and what runs on the second is killed and started again.',
  );
  const processOf = (unit: string) => `$(pgrep -P "$(cat '/run/stand-in/${unit}.supervisor')")`;
  // Frozen, it does not see the cable go first.
  await second.type(`kill -STOP ${processOf('tally-gateway')}`);
  network.pull('first');
  await second.type(`kill -KILL ${processOf('tally-gateway')} ${processOf('tally-osd@osd-1')}`);
  await second.type("until (status || true) | grep 'Nobody is served'; do sleep 0.5; done");
  const waiting = await typeAlso(stage, second, 'status || true');
  expectThat(waiting.includes('osd-0'), 'it says whom it waits for', waiting);
}

async function expectForced(stage: Stage): Promise<void> {
  const { second, network, transcript } = stage;
  const read = 's3 https://10.0.0.2:9000/photos/first | cmp - /etc/os-release && echo the same bytes';
  // The client of the first machine is behind the cable.
  await second.type(
    's3() { curl -sS --cacert /etc/tally/ca.pem --aws-sigv4 aws:amz:us-east-1:s3 --user "$(sed -n \'s/^aws_.* = //p\' /etc/tally/credentials | paste -sd: -)" "$@"; }',
  );
  const words = await typeAlso(stage, second, read);
  expectThat(words.includes('the same bytes'), 'the second machine serves alone', words);
  network.plugIn('first');
  transcript.remark('Not in the guide: the first machine comes back after all.');
  const status = await typeAlso(stage, second, 'until status >/dev/null; do sleep 0.5; done; status');
  expectThat(status.includes('go on with osd-1 alone'), 'the decision is on record', status);
  await typeAlso(stage, second, 'sudo -u tally tally verify --wait --config /etc/tally/tally.yaml');
}

/** After the section of this heading. */
export const AFTER: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  '4. The first object': pullTheCable,
  'Certificates: renewing them': expectNewCertificate,
  'Certificates: changing the authority': expectNewAuthority,
  'Secrets: changing them': expectNewSecrets,
  Upgrade: expectUpgraded,
  'A disk is replaced': expectWhole,
  'Moving the gateway': async (stage) => {
    await expectMoved(stage);
    await cutThePower(stage);
  },
  'Only one machine comes back': expectForced,
  'When an alert fires': expectMutualTls,
};
