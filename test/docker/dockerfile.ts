/** A Dockerfile as a list of instructions. */

export interface Instruction {
  readonly name: string;
  /** `--name=value` before the rest. */
  readonly flags: Readonly<Record<string, string>>;
  /** Lines that go on are joined. */
  readonly rest: string;
}

export function readDockerfile(text: string): Instruction[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const {
      name = '',
      flags = '',
      rest = '',
    } = /^(?<name>[A-Z]+) (?<flags>(?:--\S+ )*)(?<rest>.*)$/.exec(line)?.groups ?? {};
    if (name === '') throw new Error(`no instruction: ${line}`);
    const pairs = flags.trim() === '' ? [] : flags.trim().split(' ');
    return {
      name,
      flags: Object.fromEntries(pairs.map((pair) => pair.replace(/^--/, '').split('=') as [string, string])),
      rest,
    };
  });
}

/** The form of CMD and ENTRYPOINT that takes no shell. */
export function execForm(text: string): string[] {
  return JSON.parse(text) as string[];
}
