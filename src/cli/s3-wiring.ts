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
import type { AccessLog } from './logging.js';
import type { S3Keyring } from './s3-keyring.js';
import type { ServiceContext } from './service-life.js';

export interface S3EndpointParts {
  readonly storage: ObjectStorage;
  readonly configuration: Configuration;
  readonly keyring: S3Keyring;
  readonly masterKeys: MasterKeys | null;
  readonly observer: RequestObserver;
  readonly tls: ServerTls | null;
  readonly context: Pick<ServiceContext, 'logger' | 'isStopping' | 'onFatal'>;
  /** When other processes serve the endpoint too. */
  readonly amongOthers?: { readonly locks: S3Locks; readonly isHousekeeper: boolean };
}

export function makeS3Endpoint(parts: S3EndpointParts): FastifyInstance {
  const { storage, configuration, keyring, masterKeys, observer, tls, context, amongOthers } = parts;
  const { region, domains, lifecycleDayMs, customerKeysOverHttp } = configuration.s3;
  return createS3Server({
    storage,
    credentials: keyring.store,
    region,
    domains,
    lifecycleDayMs,
    observer,
    tls,
    encryption: { masterKeys, customerKeysOverHttp },
    clock: Date.now,
    logger: context.logger,
    isStopping: context.isStopping,
    onInvariantViolation: context.onFatal,
    ...amongOthers,
  });
}

export function observeRequests(figures: S3Figures, accessLog: AccessLog | null): RequestObserver {
  if (accessLog === null) return figures;
  return {
    requestBegan: () => {
      figures.requestBegan();
    },
    requestEnded: (request) => {
      figures.requestEnded(request);
      accessLog.requestEnded(request);
    },
  };
}
