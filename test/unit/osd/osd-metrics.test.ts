/** What an OSD tells of itself at /metrics. */
import { expect, it } from 'vitest';
import { OsdFigures } from '../../../src/osd/osd-figures.js';
import { until } from '../../support/patience.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { startOsd } from './osd-harness.js';
import { SECRET, SET_ID } from './osd-writer.js';

it('metrics tell what syncs take, what a scrub found, and when certificates expire', async () => {
  const figures = new OsdFigures();
  figures.batchWritten({ transactionCount: 3, isSynced: true, durationMs: 2 });
  figures.segmentSynced(40);
  const certificates = () => [{ use: 'osd-0', expiresMs: 1_800_000_000_000 }];
  const osd = await startOsd(new MemoryOsdStore(SET_ID, 1), { figures, certificates });
  const read = async () => {
    const { body } = await osd.app.inject({
      url: '/metrics',
      headers: { authorization: `Bearer ${SECRET}` },
    });
    return body.split('\n');
  };
  const before = await read();
  for (const line of [
    'tally_osd_commit_batch_transactions_sum 3',
    'tally_osd_commit_sync_seconds_bucket{le="0.0025"} 1',
    'tally_osd_segment_sync_seconds_bucket{le="0.025"} 0',
    'tally_osd_segment_sync_seconds_bucket{le="0.05"} 1',
    'tally_osd_segments 0',
    'tally_osd_segment_dead_bytes 0',
    'tally_osd_damaged_objects_total 0',
    'tally_osd_scrub_ended_timestamp_seconds 0',
    'tally_certificate_expiry_timestamp_seconds{use="osd-0"} 1800000000',
  ]) {
    expect(before).toContain(line);
  }
  await osd.connection.startScrub({ bytesPerSecond: 1_000_000, sources: [] });
  const ended = (lines: readonly string[]) =>
    lines.some((line) => /^tally_osd_scrub_ended_timestamp_seconds [1-9]/.test(line));
  const after = await until('the scrub has ended', read, ended, { withinMs: 10_000 });
  expect(after).toContain('tally_osd_scrub_failed 0');
  expect(after).toContain('tally_osd_scrub_damaged_objects 0');
  await osd.close();
});
