/** A suite as a picture: one bar for each target and operation, in groups by connections. Plain SVG, nothing to run. */
import { type Measurement, rateOf } from './measurement.js';

const WIDTH = 760;
const HEIGHT = 340;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 70;
const TICKS = 5;
const COLOURS = ['#2f6f9f', '#b8562e', '#5b8c3a', '#7d5ba6', '#a38a1f', '#3a8c86'];

/** A file beside the tables. */
export interface Picture {
  readonly name: string;
  readonly svg: string;
}

interface Bar {
  readonly series: string;
  readonly group: string;
  readonly value: number;
}

interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function label(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escape(content)}</text>`;
}

/** 1, 2 or 5 times a power of ten, so that TICKS of them reach `value`. */
function tickStep(value: number): number {
  const rough = value / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
}

function plotOf(suite: string, measurements: readonly Measurement[]): Plot {
  const operations = new Set(measurements.map(({ operation }) => operation));
  const isStream = measurements.every(
    ({ connections, contentBytes }) => connections === 1 && contentBytes > 0,
  );
  return {
    title: suite,
    unit: isStream ? 'MB/s' : 'requests/s',
    bars: measurements.map((measurement) => ({
      series: operations.size > 1 ? `${measurement.target}, ${measurement.operation}` : measurement.target,
      group: `${measurement.connections} ${measurement.connections === 1 ? 'connection' : 'connections'}`,
      value: isStream ? measurement.contentBytes / measurement.seconds / 1e6 : rateOf(measurement),
    })),
  };
}

function axis(step: number, top: number, yOf: (value: number) => number): string[] {
  const lines: string[] = [];
  for (let value = 0; value <= top + step / 2; value += step) {
    const y = yOf(value).toFixed(1);
    lines.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#ddd"/>`);
    lines.push(label(LEFT - 8, yOf(value) + 4, String(Math.round(value * 100) / 100), 'text-anchor="end"'));
  }
  return lines;
}

function legend(series: readonly string[]): string[] {
  return series.flatMap((name, index) => {
    const x = LEFT + (index % 2) * 340;
    const y = HEIGHT - 32 + Math.floor(index / 2) * 16;
    const colour = COLOURS[index % COLOURS.length] ?? '';
    return [`<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${colour}"/>`, label(x + 16, y, name)];
  });
}

export function drawSuite(suite: string, measurements: readonly Measurement[]): string {
  const { title, unit, bars } = plotOf(suite, measurements);
  const groups = [...new Set(bars.map(({ group }) => group))];
  const series = [...new Set(bars.map((bar) => bar.series))];
  const step = tickStep(Math.max(...bars.map(({ value }) => value), 1));
  const top = step * Math.ceil(Math.max(...bars.map(({ value }) => value), 1) / step);
  const yOf = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const groupWidth = (WIDTH - LEFT - RIGHT) / groups.length;
  const barWidth = Math.min(60, (groupWidth * 0.8) / series.length);
  const shapes = bars.map((bar) => {
    const place = series.indexOf(bar.series);
    const start = LEFT + groupWidth * groups.indexOf(bar.group) + (groupWidth - barWidth * series.length) / 2;
    const x = start + barWidth * place;
    const y = yOf(bar.value);
    const height = HEIGHT - BOTTOM - y;
    const fill = COLOURS[place % COLOURS.length] ?? '';
    return (
      `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(barWidth - 2).toFixed(1)}" height="${height.toFixed(1)}" fill="${fill}"/>` +
      label(
        x + barWidth / 2,
        y - 4,
        bar.value.toFixed(bar.value < 100 ? 1 : 0),
        'text-anchor="middle" font-size="10"',
      )
    );
  });
  const names = groups.map((group, index) =>
    label(LEFT + groupWidth * (index + 0.5), HEIGHT - BOTTOM + 16, group, 'text-anchor="middle"'),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    label(LEFT, 22, `${title}, ${unit}`, 'font-size="15"'),
    ...axis(step, top, yOf),
    ...shapes,
    ...names,
    ...legend(series),
    '</svg>\n',
  ].join('\n');
}
