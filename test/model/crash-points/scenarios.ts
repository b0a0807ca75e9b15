/**
 * What clients do before power fails: up to three operations, one after another, on two objects that are there and one that
 * is not.
 *
 *   small   30 bytes, in the database itself       large   2,500 bytes, in a segment       none   not there
 *
 * The words of an operation: put OBJECT BYTES · append OBJECT BYTES · patch OBJECT OFFSET BYTES · delete OBJECT.
 */

export type Operation =
  | { readonly kind: 'put' | 'append'; readonly name: string; readonly bytes: number }
  | { readonly kind: 'patch'; readonly name: string; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'delete'; readonly name: string };

export const BASE: readonly (readonly [name: string, bytes: number])[] = [
  ['small', 30],
  ['large', 2_500],
];

export const SCENARIOS: readonly string[] = [
  // One operation.
  'put none 20',
  'put none 1500',
  'put small 25',
  'put small 1500',
  'put large 40',
  'put large 2000',
  'put none 0',
  'append small 20',
  'append small 900',
  'append large 30',
  'append large 1200',
  'patch small 5 10',
  'patch small 20 300',
  'patch large 100 40',
  'patch large 2000 1000',
  'delete small',
  'delete large',

  // Two, the second one upon the first.
  'put none 20; put none 30',
  'put none 1500; put none 1600',
  'put none 1500; put none 20',
  'put none 20; append none 20',
  'put none 20; append none 700',
  'put none 1500; append none 25',
  'put none 1500; patch none 700 50',
  'put none 20; delete none',
  'put none 1500; delete none',
  'append small 20; append small 20',
  'append large 600; append large 600',
  'append large 600; patch large 2400 300',
  'patch large 100 40; patch large 120 40',
  'patch large 100 400; patch large 300 400',
  'patch small 5 10; append small 15',
  'delete small; put small 20',
  'delete large; put large 1500',
  'delete large; put large 20',
  'put small 700; delete small',
  'put large 20; append large 1500',

  // Two of different objects.
  'put none 20; put small 20',
  'put none 1500; patch large 10 500',
  'delete small; delete large',
  'append small 20; append large 700',
  'patch large 2499 1; put none 64',

  // Three.
  'put none 20; append none 20; append none 20',
  'put none 900; append none 900; append none 900',
  'put none 20; delete none; put none 30',
  'put none 1500; delete none; put none 1600',
  'delete small; put small 20; delete small',
  'delete large; put large 900; append large 40',
  'patch large 0 100; patch large 1000 100; patch large 2400 100',
  'patch large 0 2500; append large 10; delete large',
  'append large 600; delete large; put large 20',
  'put small 20; put small 30; put small 1500',
  'put small 1500; put small 20; append small 900',
  'put none 20; put small 20; put large 20',
  'put none 1500; put small 1500; put large 1500',
  'delete small; delete large; put none 0',
  'append small 5; patch small 0 35; append small 700',
  'put none 64; put none 65; patch none 60 10',
  'put none 300; append none 300; delete none',
  'append large 1500; append large 1500; append large 1500',
  'patch large 10 10; put large 10; patch large 0 5',
];

export function parseScenario(text: string): Operation[] {
  return text.split('; ').map((words) => {
    const [kind, name = '', first = '', second = ''] = words.split(' ');
    switch (kind) {
      case 'put':
      case 'append':
        return { kind, name, bytes: Number(first) };
      case 'patch':
        return { kind, name, offset: Number(first), bytes: Number(second) };
      case 'delete':
        return { kind, name };
      default:
        throw new RangeError(`no such operation: ${words}`);
    }
  });
}
