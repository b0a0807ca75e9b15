import { describe, expect, it } from 'vitest';
import { S3Figures, SummedS3Figures } from '../../../src/admin/s3-figures.js';

function served(count: number, errorCode: string | null = null): S3Figures {
  const figures = new S3Figures();
  for (let at = 0; at < count; at += 1) {
    figures.requestBegan();
    const status = errorCode === null ? 200 : 404;
    const fields = {
      operation: 'GetObject',
      status,
      errorCode,
      durationMs: 4,
      receivedBytes: 1,
      sentBytes: 2,
    };
    figures.requestEnded(fields);
  }
  figures.requestBegan();
  return figures;
}

describe('figures of several processes', () => {
  it('are the sum of what each told last', () => {
    const summed = new SummedS3Figures();
    summed.take(0, served(1).snapshot());
    summed.take(0, served(3).snapshot());
    summed.take(1, served(2, 'NoSuchKey').snapshot());
    const { operations, inFlightCount } = summed.snapshot();
    expect(inFlightCount).toBe(2);
    expect(operations.get('GetObject')).toMatchObject({
      requestCount: 5,
      receivedBytes: 5,
      sentBytes: 10,
      errors: [{ code: 'NoSuchKey', status: 404, count: 2 }],
      durationSeconds: { count: 5 },
    });
  });

  it('what a process counted before it ended stays counted; what it was at does not', () => {
    const summed = new SummedS3Figures();
    summed.take(0, served(3).snapshot());
    summed.end(0);
    summed.take(0, served(1).snapshot());
    const { operations, inFlightCount } = summed.snapshot();
    expect(operations.get('GetObject')?.requestCount).toBe(4);
    expect(inFlightCount).toBe(1);
  });
});
