/** `tally completion`: a script for the shell, made from the tree of commands itself, so that it knows every flag. */
import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Node {
  /** From below `tally`: `user add`. Empty: tally itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly flags: readonly { readonly long: string; readonly summary: string; readonly hasValue: boolean }[];
}

function nodesOf(command: Command, path: string): Node[] {
  const { commands, options } = command;
  const node: Node = {
    path,
    commands: commands.map((child) => ({ name: child.name(), summary: child.description() })),
    flags: [
      ...options.flatMap(({ long, description, required, optional }) =>
        long === undefined ? [] : [{ long, summary: description, hasValue: required || optional }],
      ),
      { long: '--help', summary: 'help, with examples', hasValue: false },
    ],
  };
  return [node, ...commands.flatMap((child) => nodesOf(child, `${path} ${child.name()}`.trim()))];
}

function bash(nodes: readonly Node[]): string {
  const known = nodes.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const cases = nodes.map(({ path, commands, flags }) => {
    const words = [...commands.map(({ name }) => name), ...flags.map(({ long }) => long)];
    return `    '${path}') words='${words.join(' ')}' ;;`;
  });
  return `_tally() {
  local path='' next words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${known.join('|')}) path="$next" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _tally tally
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, commands, flags }) => {
    const words = path === '' ? [] : path.split(' ');
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const below = commands.map(({ name }) => name).join(' ');
    const notBelow = below === '' ? [] : [`not __fish_seen_subcommand_from ${below}`];
    const condition = [...seen, ...notBelow].join('; and ');
    const when = condition === '' ? '' : ` -n ${quoted(condition)}`;
    return [
      ...commands.map(({ name, summary }) => `complete -c tally -f${when} -a ${name} -d ${quoted(summary)}`),
      ...flags.map(
        ({ long, summary, hasValue }) =>
          `complete -c tally${when} -l ${long.slice(2)}${hasValue ? ' -r' : ''} -d ${quoted(summary)}`,
      ),
    ];
  });
  return `${lines.join('\n')}\n`;
}

export function completionScript(program: Command, shell: Shell): string {
  const nodes = nodesOf(program, '');
  switch (shell) {
    case 'bash':
      return bash(nodes);
    case 'zsh':
      return `autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n${bash(nodes)}`;
    case 'fish':
      return fish(nodes);
  }
}
