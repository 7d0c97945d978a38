// The charts: each shows some members of the points that the server sends, the last five minutes of them.

import * as format from './format.js';
import uPlot from './uplot.js';

const HEIGHT = 170;

const CHARTS = [
  {
    id: 'throughput',
    value: format.short,
    series: [
      ['reads', 'Reads', '--first'],
      ['writes', 'Writes', '--second'],
    ],
  },
  {
    id: 'latency',
    value: format.seconds,
    logarithmic: true,
    series: [
      ['readP50', 'Read P50', '--first', true],
      ['readP99', 'Read P99', '--first'],
      ['writeP50', 'Write P50', '--second', true],
      ['writeP99', 'Write P99', '--second'],
      ['fsyncP99', 'Sync P99', '--third'],
    ],
  },
  {
    id: 'cache',
    value: format.share,
    range: [0, 1],
    series: [
      ['hotCacheHits', 'Hot cache', '--first'],
      ['blockCacheHits', 'Block cache', '--third'],
    ],
  },
  {
    id: 'background',
    value: format.short,
    series: [
      ['moved', 'Moved between tiers, bytes/s', '--first'],
      ['stallSeconds', 'Stalled, s/s', '--second'],
    ],
  },
];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Makes the charts, and gives the function that shows points in them. */
export function makeCharts() {
  let points = [];
  let plots = CHARTS.map(makePlot);
  const show = (next) => {
    points = next;
    for (const [i, plot] of plots.entries()) {
      plot.setData(dataOf(CHARTS[i], points));
      describe(plot, CHARTS[i], points.at(-1));
    }
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const plot of plots) plot.destroy();
    plots = CHARTS.map(makePlot);
    show(points);
  });
  new ResizeObserver(() => {
    for (const plot of plots) plot.setSize({ width: widthOf(plot.root.parentElement), height: HEIGHT });
  }).observe(document.querySelector('main'));
  return show;
}

function dataOf(chart, points) {
  return [
    points.map(({ at }) => at / 1000),
    ...chart.series.map(([member]) => points.map((point) => positive(chart, point[member]))),
  ];
}

/** A logarithm has no zero. */
function positive({ logarithmic }, value) {
  return logarithmic && value === 0 ? null : value;
}

const widthOf = (element) => Math.max(240, element.clientWidth);

function makePlot(chart) {
  const element = document.getElementById(`chart-${chart.id}`);
  const axis = {
    stroke: css('--soft'),
    grid: { stroke: css('--line'), width: 1 },
    ticks: { stroke: css('--line'), width: 1 },
  };
  const y = chart.logarithmic
    ? { distr: 3 }
    : { range: chart.range ?? ((_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)]) };
  return new uPlot(
    {
      width: widthOf(element),
      height: HEIGHT,
      cursor: { y: false },
      scales: { y },
      axes: [
        axis,
        {
          ...axis,
          size: 64,
          values: (_, splits) => splits.map((split) => (split === null ? null : chart.value(split))),
        },
      ],
      series: [
        { label: 'Time' },
        ...chart.series.map(([, label, colour, dashed]) => ({
          label,
          stroke: css(colour),
          width: 1.5,
          dash: dashed ? [4, 4] : [],
          points: { show: false },
          value: (_, value) => (value === null || value === undefined ? '–' : chart.value(value)),
        })),
      ],
    },
    dataOf(chart, []),
    element,
  );
}

/** A chart is a picture: what it shows last is its description. */
function describe(plot, chart, point) {
  if (point === undefined) return;
  const latest = chart.series
    .filter(([member]) => point[member] !== null)
    .map(([member, label]) => `${label} ${chart.value(point[member])}`);
  plot.root.querySelector('.u-legend')?.setAttribute('aria-label', `${chart.id}: values at the pointer`);
  const canvas = plot.root.querySelector('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${chart.id} over time; now: ${latest.join(', ') || 'nothing'}`);
}
