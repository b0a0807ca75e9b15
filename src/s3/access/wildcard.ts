/**
 * Patterns with `*` (any text) and `?` (any one character), for policies and CORS. Matching takes time in proportion to pattern times
 * text at the worst, whatever the pattern: nobody can make the server think by writing a policy.
 */

const ANY_TEXT = -1;
const ANY_ONE = -2;

/** Code units, ANY_TEXT and ANY_ONE. */
export type Pattern = readonly number[];

function codesOf(text: string): number[] {
  return Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
}

/** A pattern as it is written. */
export function compilePattern(text: string): Pattern {
  return Array.from(text, (character) => {
    if (character === '*') return [ANY_TEXT];
    return character === '?' ? [ANY_ONE] : codesOf(character);
  }).flat();
}

const VARIABLE = /\$\{([^}]*)\}/g;
const LITERAL_VARIABLES: Readonly<Record<string, string>> = { '*': '*', '?': '?', $: '$' };

/** The text of a policy variable by its name, without `${}`; null when this request has none. */
export type ResolveVariable = (name: string) => string | null;

/** A pattern with `${name}` in it; what a variable stands for is literal. Null when a variable has no value: nothing matches then. */
export function compileTemplate(text: string, resolve: ResolveVariable): Pattern | null {
  if (!text.includes('${')) return compilePattern(text);
  const pattern: number[] = [];
  let end = 0;
  for (const found of text.matchAll(VARIABLE)) {
    const name = found[1] ?? '';
    const value = LITERAL_VARIABLES[name] ?? resolve(name);
    if (value === null) return null;
    pattern.push(...compilePattern(text.slice(end, found.index)), ...codesOf(value));
    end = found.index + found[0].length;
  }
  pattern.push(...compilePattern(text.slice(end)));
  return pattern;
}

export function matchesPattern(pattern: Pattern, text: string): boolean {
  let at = 0;
  let place = 0;
  let lastStar = -1;
  let retryAt = 0;
  while (at < text.length) {
    const code = pattern[place];
    if (code === ANY_TEXT) {
      lastStar = place;
      retryAt = at;
      place += 1;
    } else if (code === ANY_ONE || code === text.charCodeAt(at)) {
      place += 1;
      at += 1;
    } else if (lastStar >= 0) {
      retryAt += 1;
      at = retryAt;
      place = lastStar + 1;
    } else {
      return false;
    }
  }
  while (pattern[place] === ANY_TEXT) place += 1;
  return place === pattern.length;
}

export function matchesWildcard(pattern: string, text: string): boolean {
  return matchesPattern(compilePattern(pattern), text);
}
