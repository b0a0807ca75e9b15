/** Tracing of one service: loads it when the configuration asks for it, and fits it to the ports of the other layers. */
import { AsyncResource } from 'node:async_hooks';
import type { Logger } from 'pino';
import type { OsdTrace } from '../osd/osd-trace.js';
import type { AroundRequest } from '../s3/http-server.js';
import type { EndedRequest } from '../s3/request-observer.js';
import type { Tracer } from '../tracing/tracer.js';
import type { PeerTrace } from '../gateway/workers/peer.js';
import type { ConnectionTrace, FollowedRequest } from '../wire/osd-connection.js';
import type { Configuration } from './configuration.js';
import { readSoftwareVersion } from './software-version.js';

const REQUEST_NAMES: Readonly<Record<FollowedRequest, string>> = {
  read: 'read from',
  head: 'look at',
  list: 'list from',
  'forwarded write': 'forward a write to',
};

export class ServiceTracing {
  readonly #tracer: Tracer;
  readonly #stop: () => Promise<void>;

  private constructor(tracer: Tracer, stop: () => Promise<void>) {
    this.#tracer = tracer;
    this.#stop = stop;
  }

  /** Null: nothing is traced, and nothing is loaded. `instance`: which one of the service it is. */
  static async open(
    { tracing }: Configuration,
    service: { readonly name: string; readonly instance: string },
    logger: Logger,
  ): Promise<ServiceTracing | null> {
    if (tracing === null) return null;
    const [{ Tracer }, { OtlpExporter }] = await Promise.all([
      import('../tracing/tracer.js'),
      import('../tracing/otlp-exporter.js'),
    ]);
    const { endpoint, sampleRatio } = tracing;
    const version = readSoftwareVersion();
    const exporter = new OtlpExporter({ endpoint, service: { ...service, version }, logger });
    logger.info({ endpoint, sampleRatio }, 'requests are traced');
    return new ServiceTracing(new Tracer({ sink: exporter, sampleRatio }), () => exporter.stop());
  }

  /** Around each S3 request. What is known of it only when it ends, `requestEnded` says. */
  readonly aroundRequest: AroundRequest = async (message, serve) => {
    const { traceparent } = message.headers;
    const given = typeof traceparent === 'string' ? traceparent : null;
    const span = this.#tracer.begin('S3 request', 'server', given);
    await this.#tracer.runIn(span, () => {
      // Its body comes from the socket, which has a context of its own: what listens to it belongs to the request.
      message.emit = AsyncResource.bind(message.emit.bind(message));
      return serve();
    });
  };

  /** Called within `aroundRequest`. */
  requestEnded({ operation, method, status, errorCode, ...request }: EndedRequest): void {
    const span = this.#tracer.present;
    if (span === null) return;
    span.name = `S3 ${operation ?? method}`;
    span.set('http.request.method', method);
    span.set('tally.request_id', request.requestId);
    span.set('tally.received_bytes', request.receivedBytes);
    span.set('tally.sent_bytes', request.sentBytes);
    if (status !== null) span.set('http.response.status_code', status);
    // What the caller did wrong is no fault of the server (semantic conventions for HTTP).
    const isFault = status === null || status >= 500;
    span.end(isFault ? (errorCode ?? 'the client went away') : null);
  }

  /** Of the gateway's connection to a mirror. */
  connectionTrace(mirror: string): ConnectionTrace {
    return {
      followWrite: ({ tag, kind }) => {
        const { present } = this.#tracer;
        // No request asked for it: a repair, a move.
        if (present === null) return null;
        const span = this.#tracer.begin(`write to ${mirror}`, 'client', present);
        span.set('tally.mirror', mirror);
        span.set('tally.tag', tag);
        span.set('tally.kind', kind);
        return {
          traceparent: span.traceparent,
          ended: (answer) => {
            if (answer.kind === 'committed') span.end(null);
            else span.end(answer.kind === 'refused' ? answer.code : answer.reason);
          },
        };
      },
      followRequest: (what) => {
        const { present } = this.#tracer;
        if (present === null) return null;
        const span = this.#tracer.begin(`${REQUEST_NAMES[what]} ${mirror}`, 'client', present);
        span.set('tally.mirror', mirror);
        return {
          traceparent: span.traceparent,
          ended: (failure) => {
            span.end(failure);
          },
        };
      },
      traceparent: () => this.#tracer.present?.traceparent ?? null,
    };
  }

  /** Of what the workers of a gateway do for each other. */
  readonly peerTrace: PeerTrace = {
    traceparent: () => this.#tracer.present?.traceparent ?? null,
    within: async (name, traceparent, work) => {
      const span = this.#tracer.begin(`worker ${name}`, 'server', traceparent);
      try {
        const done = await this.#tracer.runIn(span, work);
        span.end(null);
        return done;
      } catch (error) {
        span.end(error instanceof Error ? error.message : String(error));
        throw error;
      }
    },
  };

  readonly osdTrace: OsdTrace = {
    begin: (name, traceparent) => {
      const span = this.#tracer.begin(`OSD ${name}`, 'server', traceparent);
      return {
        runIn: (work) => this.#tracer.runIn(span, work),
        end: (failure) => {
          span.end(failure);
        },
      };
    },
  };

  /** Sends what is left. */
  stop(): Promise<void> {
    return this.#stop();
  }
}
