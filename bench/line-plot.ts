/** Points joined to lines, both axes logarithmic. Plain SVG, nothing to run. */

const WIDTH = 760;
const HEIGHT = 340;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 60;
const COLOURS = ['#2f6f9f', '#b8562e', '#5b8c3a'];

export interface Line {
  readonly name: string;
  /** All above 0. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LinePlot {
  readonly title: string;
  readonly xName: string;
  readonly lines: readonly Line[];
}

/** The powers of ten around these values. */
function decades(values: readonly number[]): readonly [number, number] {
  const first = Math.floor(Math.log10(Math.min(...values)));
  return [first, Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))];
}

function powerLabel(power: number): string {
  return power >= 0 && power <= 6 ? (10 ** power).toLocaleString('en-US') : `1e${power}`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}

export function drawLines({ title, xName, lines }: LinePlot): string {
  const points = lines.flatMap((line) => line.points);
  const [xFirst, xLast] = decades(points.map(([x]) => x));
  const [yFirst, yLast] = decades(points.map(([, y]) => y));
  const xOf = (x: number): number =>
    LEFT + ((Math.log10(x) - xFirst) / (xLast - xFirst)) * (WIDTH - LEFT - RIGHT);
  const yOf = (y: number): number =>
    HEIGHT - BOTTOM - ((Math.log10(y) - yFirst) / (yLast - yFirst)) * (HEIGHT - TOP - BOTTOM);
  const shapes: string[] = [];
  for (let power = yFirst; power <= yLast; power += 1) {
    const y = yOf(10 ** power);
    shapes.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#ddd"/>`);
    shapes.push(text(LEFT - 8, y + 4, powerLabel(power), 'text-anchor="end"'));
  }
  for (let power = xFirst; power <= xLast; power += 1)
    shapes.push(text(xOf(10 ** power), HEIGHT - BOTTOM + 18, powerLabel(power), 'text-anchor="middle"'));
  for (const [index, { name, points: own }] of lines.entries()) {
    const colour = COLOURS[index % COLOURS.length] ?? '';
    const path = own.map(([x, y]) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`).join(' ');
    shapes.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [x, y] of own)
      shapes.push(`<circle cx="${xOf(x).toFixed(1)}" cy="${yOf(y).toFixed(1)}" r="3.5" fill="${colour}"/>`);
    shapes.push(text(LEFT + 10 + index * 220, HEIGHT - 10, `● ${name}`, `fill="${colour}"`));
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, title, 'font-size="15"'),
    text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, xName, 'text-anchor="end"'),
    ...shapes,
    '</svg>\n',
  ].join('\n');
}
