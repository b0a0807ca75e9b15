/** What was typed and what came of it, as it goes into the docs: without what is of this machine or this run alone. */

export class Transcript {
  readonly #lines: string[] = [];
  readonly #scrubbed: readonly (readonly [RegExp, string])[];

  /** `places`: paths that are of this machine. */
  constructor(places: readonly string[]) {
    this.#scrubbed = [
      ...places.map(
        (place) => [new RegExp(place.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g'), '…'] as const,
      ),
      [/\bTALLY[A-Z0-9]{15}\b/g, 'TALLY…'],
      [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '(time)'],
      [/\b(?:sha512|sha1)-[\w+/=]+/g, '(checksum)'],
      // eslint-disable-next-line no-control-regex -- colours
      [/\u001b\[[\d;]*[A-Za-z]/g, ''],
      // Every file of the package.
      [/^npm notice.*\n?/gm, ''],
      [/\s+$/gm, ''],
    ];
  }

  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  heading(text: string): void {
    this.#lines.push('', `## ${text}`, '');
  }

  /** What is said about what follows. */
  remark(text: string): void {
    this.#lines.push(text, '');
  }

  ran(machine: string, text: string, output: string): void {
    const typed = this.#scrub(text.trimEnd())
      .split('\n')
      .map((line, index) => (index === 0 ? `${machine} # ${line}` : line));
    const shown = this.#scrub(output.trimEnd());
    this.#lines.push('```console', ...typed, ...(shown === '' ? [] : [shown]), '```', '');
  }

  wrote(machine: string, file: string): void {
    this.#lines.push(`On ${machine}: \`${file}\`, as the guide has it.`, '');
  }

  #scrub(text: string): string {
    return this.#scrubbed.reduce(
      (scrubbed, [pattern, instead]) => scrubbed.replaceAll(pattern, instead),
      text,
    );
  }
}
