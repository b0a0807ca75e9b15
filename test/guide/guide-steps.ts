/**
 * What a reader of the guide types, in its order, taken from the guide itself. A comment before a block, which nobody sees who
 * reads the page, says where:
 *
 *   <!-- on: first -->                               the first machine; or: second, both, clone (of the repository, on the first)
 *   <!-- on: first, file: /etc/tally/tally.yaml -->  the block is the content of a file
 *   <!-- on: none -->                                nobody types this
 *
 * A line that ends in `# on the second machine: LINE` is that line there.
 */

export type Place = 'first' | 'second' | 'both' | 'clone' | 'none';

export interface GuideStep {
  /** The heading above it. */
  readonly section: string;
  readonly on: Place;
  /** Null: commands. */
  readonly file: string | null;
  readonly text: string;
}

const BLOCK = /^(?:<!-- on: (\w+)(?:, file: (\S+))? -->\n\n?)?```(\w+)\n(.*?)^```$/gms;
const HEADING = /^#{2,3} (.+)$/gm;
const PLACES: readonly string[] = ['first', 'second', 'both', 'clone', 'none'] satisfies Place[];

function isPlace(text: string): text is Place {
  return PLACES.includes(text);
}

/** Throws for a block that does not say where it belongs. */
export function readGuide(markdown: string): GuideStep[] {
  const headings = [...markdown.matchAll(HEADING)];
  return [...markdown.matchAll(BLOCK)].map(({ index, 1: on = '', 2: file = null, 4: text = '' }) => {
    const section = headings.findLast((heading) => heading.index < index)?.[1] ?? '';
    if (!isPlace(on)) throw new Error(`a block of "${section}" does not say where it belongs:\n${text}`);
    return { section, on, file, text };
  });
}

const ON_THE_SECOND = /^(.*?) *# on the second machine: (.*)$/gm;

/** The text as it is typed on one machine. */
export function textFor(machine: 'first' | 'second', text: string): string {
  return text.replace(ON_THE_SECOND, machine === 'first' ? '$1' : '$2');
}
