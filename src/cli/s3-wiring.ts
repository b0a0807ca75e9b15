/** The S3 endpoint of a process: of the gateway, or of one of its workers. */
import type { FastifyInstance } from 'fastify';
import type { S3Figures } from '../admin/s3-figures.js';
import type { ObjectStorage } from '../gateway/object-storage.js';
import type { MasterKeys } from '../s3/encryption/master-keys.js';
import type { RequestObserver } from '../s3/request-observer.js';
import { createS3Server } from '../s3/server.js';
import type { S3Locks } from '../s3/shared-lock.js';
import type { ServerTls } from '../tls/node-server.js';
import type { Configuration } from './configuration.js';
import { makeFreeBytes } from './engine.js';
import type { S3Keyring } from './s3-keyring.js';
import type { ServiceContext } from './service-life.js';
import type { ServiceTracing } from './service-tracing.js';

export interface S3EndpointParts {
  readonly storage: ObjectStorage;
  readonly configuration: Configuration;
  readonly keyring: S3Keyring;
  readonly masterKeys: MasterKeys | null;
  readonly observer: RequestObserver;
  readonly tracing: ServiceTracing | null;
  readonly tls: ServerTls | null;
  readonly context: Pick<ServiceContext, 'logger' | 'isStopping' | 'onFatal'>;
  /** When other processes serve the endpoint too. */
  readonly amongOthers?: { readonly locks: S3Locks; readonly isHousekeeper: boolean };
}

export function makeS3Endpoint(parts: S3EndpointParts): FastifyInstance {
  const { storage, configuration, keyring, masterKeys, observer, tracing, tls, context, amongOthers } = parts;
  const { region, domains, lifecycleDayMs, customerKeysOverHttp } = configuration.s3;
  return createS3Server({
    storage,
    credentials: keyring.store,
    region,
    domains,
    lifecycleDayMs,
    observer,
    around: tracing?.aroundRequest ?? null,
    tls,
    encryption: { masterKeys, customerKeysOverHttp },
    clock: Date.now,
    freeBytes: makeFreeBytes(),
    logger: context.logger,
    isStopping: context.isStopping,
    onInvariantViolation: context.onFatal,
    ...amongOthers,
  });
}

type EndObserver = Pick<RequestObserver, 'requestEnded'>;

export function observeRequests(
  figures: S3Figures,
  others: readonly (EndObserver | null)[],
): RequestObserver {
  const wanted = others.filter((observer) => observer !== null);
  if (wanted.length === 0) return figures;
  return {
    requestBegan: () => {
      figures.requestBegan();
    },
    requestEnded: (request) => {
      figures.requestEnded(request);
      for (const observer of wanted) observer.requestEnded(request);
    },
  };
}
