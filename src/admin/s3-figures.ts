/** Rate, errors and duration of the S3 operations. It is told of every request, so all it does is add. */
import { Histogram, type HistogramSnapshot, sumHistograms } from '../metrics/histogram.js';

const SECOND_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** For a request that was refused before it was known what it is. */
const UNKNOWN = 'Unknown';

/** What is measured of a request; `s3/` tells more than this. */
export interface MeasuredRequest {
  readonly operation: string | null;
  readonly status: number | null;
  readonly errorCode: string | null;
  readonly durationMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface S3ErrorFigure {
  readonly code: string;
  /** Null: there was nobody to answer. */
  readonly status: number | null;
  count: number;
}

/** Of one operation, at a moment. */
export interface OperationSnapshot {
  readonly requestCount: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly errors: readonly Readonly<S3ErrorFigure>[];
  readonly durationSeconds: HistogramSnapshot;
}

export interface S3FiguresSnapshot {
  readonly operations: ReadonlyMap<string, OperationSnapshot>;
  readonly inFlightCount: number;
}

/** Figures that can be looked at. */
export interface S3FiguresSource {
  snapshot(): S3FiguresSnapshot;
}

class OperationFigures {
  readonly durationSeconds = new Histogram(SECOND_BOUNDS);
  /** By code; S3 has a closed list of them. */
  readonly errors = new Map<string, S3ErrorFigure>();
  requestCount = 0;
  receivedBytes = 0;
  sentBytes = 0;
}

export class S3Figures implements S3FiguresSource {
  /** By name; S3 has a closed list of them. */
  readonly #operations = new Map<string, OperationFigures>();
  #inFlightCount = 0;

  requestBegan(): void {
    this.#inFlightCount += 1;
  }

  requestEnded({
    operation,
    status,
    errorCode,
    durationMs,
    receivedBytes,
    sentBytes,
  }: MeasuredRequest): void {
    this.#inFlightCount -= 1;
    const figures = this.#of(operation ?? UNKNOWN);
    figures.requestCount += 1;
    figures.receivedBytes += receivedBytes;
    figures.sentBytes += sentBytes;
    figures.durationSeconds.observe(durationMs / 1000);
    if (errorCode === null) return;
    const error = figures.errors.get(errorCode) ?? { code: errorCode, status, count: 0 };
    error.count += 1;
    figures.errors.set(errorCode, error);
  }

  #of(operation: string): OperationFigures {
    let figures = this.#operations.get(operation);
    if (figures === undefined) this.#operations.set(operation, (figures = new OperationFigures()));
    return figures;
  }

  snapshot(): S3FiguresSnapshot {
    const operations = new Map<string, OperationSnapshot>();
    for (const [name, figures] of this.#operations) {
      const { requestCount, receivedBytes, sentBytes, durationSeconds } = figures;
      const errors = [...figures.errors.values()].map((error) => ({ ...error }));
      operations.set(name, {
        ...{ requestCount, receivedBytes, sentBytes, errors },
        durationSeconds: durationSeconds.snapshot(),
      });
    }
    return { operations, inFlightCount: this.#inFlightCount };
  }
}

function sumErrors(
  left: OperationSnapshot['errors'],
  right: OperationSnapshot['errors'],
): OperationSnapshot['errors'] {
  const sums = new Map(left.map((error) => [error.code, { ...error }]));
  for (const error of right) {
    const sum = sums.get(error.code);
    if (sum === undefined) sums.set(error.code, { ...error });
    else sum.count += error.count;
  }
  return [...sums.values()];
}

function sumOperations(left: OperationSnapshot, right: OperationSnapshot): OperationSnapshot {
  return {
    requestCount: left.requestCount + right.requestCount,
    receivedBytes: left.receivedBytes + right.receivedBytes,
    sentBytes: left.sentBytes + right.sentBytes,
    errors: sumErrors(left.errors, right.errors),
    durationSeconds: sumHistograms(left.durationSeconds, right.durationSeconds),
  };
}

function sumSnapshots(left: S3FiguresSnapshot, right: S3FiguresSnapshot): S3FiguresSnapshot {
  const operations = new Map(left.operations);
  for (const [name, figures] of right.operations) {
    const other = operations.get(name);
    operations.set(name, other === undefined ? figures : sumOperations(other, figures));
  }
  return { operations, inFlightCount: left.inFlightCount + right.inFlightCount };
}

/** The figures of several processes that serve one endpoint, each as it told them last. What ended processes counted stays counted. */
export class SummedS3Figures implements S3FiguresSource {
  readonly #running = new Map<number, S3FiguresSnapshot>();
  #ended: S3FiguresSnapshot = { operations: new Map(), inFlightCount: 0 };

  take(index: number, snapshot: S3FiguresSnapshot): void {
    this.#running.set(index, snapshot);
  }

  end(index: number): void {
    const last = this.#running.get(index);
    this.#running.delete(index);
    if (last !== undefined) this.#ended = sumSnapshots(this.#ended, { ...last, inFlightCount: 0 });
  }

  snapshot(): S3FiguresSnapshot {
    return [...this.#running.values()].reduce(sumSnapshots, this.#ended);
  }
}
