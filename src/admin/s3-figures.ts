/** Rate, errors and duration of the S3 operations. It is told of every request, so all it does is add. */
import { Histogram } from '../metrics/histogram.js';

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

export class OperationFigures {
  readonly durationSeconds = new Histogram(SECOND_BOUNDS);
  /** By code; S3 has a closed list of them. */
  readonly errors = new Map<string, S3ErrorFigure>();
  requestCount = 0;
  receivedBytes = 0;
  sentBytes = 0;
}

export class S3Figures {
  /** By name; S3 has a closed list of them. */
  readonly operations = new Map<string, OperationFigures>();
  inFlightCount = 0;

  requestBegan(): void {
    this.inFlightCount += 1;
  }

  requestEnded({
    operation,
    status,
    errorCode,
    durationMs,
    receivedBytes,
    sentBytes,
  }: MeasuredRequest): void {
    this.inFlightCount -= 1;
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
    let figures = this.operations.get(operation);
    if (figures === undefined) this.operations.set(operation, (figures = new OperationFigures()));
    return figures;
  }
}
