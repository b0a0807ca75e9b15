/** The JSON Schema of a configuration file, for editors. `schema/tally.schema.json` is this; a test compares. */
import { configurationSchema } from './configuration-schema.js';

/** The file as it is published. */
export function publishedSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration of Tally (tally.yaml)',
    ...configurationSchema,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
