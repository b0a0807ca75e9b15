/** One quantity over the last hour. The canvas is for eyes; its caption says the present value in text. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import type { Sample } from './api.ts';

export interface PlotSeries {
  readonly label: string;
  readonly read: (sample: Sample) => number | null;
}

export interface HistoryPlotProps {
  readonly title: string;
  readonly hint: string;
  readonly samples: readonly Sample[];
  readonly series: readonly PlotSeries[];
  readonly format: (value: number) => string;
  /** Distances of ticks that are round figures of this quantity; without it those of decimal numbers. */
  readonly increments?: readonly number[];
}

const HEIGHT = 140;
const COLOURS = ['--series-1', '--series-2', '--series-3', '--series-4'];

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function makePlot(place: HTMLElement, { series, format, increments }: HistoryPlotProps): uPlot {
  const axis = {
    stroke: colour('--quiet'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return new uPlot(
    {
      width: Math.max(200, place.clientWidth),
      height: HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.15)] } },
      axes: [
        { ...axis, space: 70, values: '{HH}:{mm}:{ss}' },
        {
          ...axis,
          size: 64,
          space: 36,
          values: (_plot, ticks) => ticks.map((tick) => format(tick)),
          ...(increments !== undefined && { incrs: [...increments] }),
        },
      ],
      series: [
        {},
        ...series.map(({ label }, index) => ({
          label,
          stroke: colour(COLOURS[index % COLOURS.length] ?? ''),
          fill: `${colour(COLOURS[index % COLOURS.length] ?? '')}1f`,
          width: 2,
          points: { show: false },
        })),
      ],
    },
    [[], ...series.map(() => [])],
    place,
  );
}

export function HistoryPlot(props: HistoryPlotProps) {
  const { title, hint, samples, series, format } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const names = series.map(({ label }) => label).join();
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const fill = (): void => {
      const { samples: now, series: all } = latest.current;
      const columns = all.map(({ read }) => now.map(read));
      plot.current?.setData([now.map(({ atMs }) => atMs / 1000), ...columns]);
    };
    const make = (): void => {
      plot.current?.destroy();
      plot.current = makePlot(element, latest.current);
      fill();
    };
    make();
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', make);
    const resizing = new ResizeObserver(() => {
      plot.current?.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT });
    });
    resizing.observe(element);
    return () => {
      scheme.removeEventListener('change', make);
      resizing.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => {
    const columns = series.map(({ read }) => samples.map(read));
    plot.current?.setData([samples.map(({ atMs }) => atMs / 1000), ...columns]);
  }, [samples]);
  const last = samples.at(-1);
  return (
    <figure>
      <figcaption>
        <h2>{title}</h2>
        <p class="values">
          {series.map(({ label, read }, index) => {
            const value = last === undefined ? null : read(last);
            return (
              <span key={label} class={`value series-${(index % COLOURS.length) + 1}`}>
                {series.length > 1 && `${label} `}
                <strong>{value === null ? '–' : format(value)}</strong>
              </span>
            );
          })}
        </p>
        <p class="hint">{hint}</p>
      </figcaption>
      <div ref={place} class="canvas" aria-hidden="true" />
    </figure>
  );
}
