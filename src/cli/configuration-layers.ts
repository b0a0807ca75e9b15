/** Layers of a configuration put over each other: file, environment, flags. */
import type { ConfigurationLayer } from './configuration-schema.js';

/** Settings of which a layer that has one hides the others of lower layers. */
const alternatives = {
  mirrorSet: ['secret', 'secretFile'],
  admin: ['token', 'tokenFile'],
  adminRead: ['readToken', 'readTokenFile'],
  credentials: ['accessKey', 'secretKey', 'file'],
  metrics: ['token', 'tokenFile'],
} as const;

function without<Section extends object>(
  section: Section | undefined,
  names: readonly (keyof Section & string)[],
  over: Section | undefined,
): Partial<Section> | undefined {
  if (section === undefined || over === undefined || !names.some((name) => over[name] !== undefined))
    return section;
  const kept = Object.entries(section).filter(([name]) => !names.some((hidden) => hidden === name));
  return Object.fromEntries(kept) as Partial<Section>;
}

function mergeTwo(low: ConfigurationLayer, high: ConfigurationLayer): ConfigurationLayer {
  return {
    ...low,
    ...high,
    mirrorSet: { ...without(low.mirrorSet, alternatives.mirrorSet, high.mirrorSet), ...high.mirrorSet },
    gateway: { ...low.gateway, ...high.gateway },
    s3: { ...low.s3, ...high.s3 },
    admin: {
      ...without(without(low.admin, alternatives.admin, high.admin), alternatives.adminRead, high.admin),
      ...high.admin,
    },
    credentials: {
      ...without(low.credentials, alternatives.credentials, high.credentials),
      ...high.credentials,
    },
    osd: { ...low.osd, ...high.osd },
    log: { ...low.log, ...high.log },
    tracing: { ...low.tracing, ...high.tracing },
    shutdown: { ...low.shutdown, ...high.shutdown },
    metrics: { ...without(low.metrics, alternatives.metrics, high.metrics), ...high.metrics },
  };
}

/** The later layer wins, setting by setting. */
export function mergeLayers(...layers: readonly ConfigurationLayer[]): ConfigurationLayer {
  return layers.reduce(mergeTwo, {});
}
