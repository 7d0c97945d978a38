/** Charts as SVG, coloured by the page's style sheet (classes c0, c1, ...). */

import { escaped, time, times } from './text.mjs';

const WIDTH = 900;
const LABEL = 280;
const VALUE = 110;
const BAR = 13;
const GAP = 9;

const svg = (height, inner, title) =>
  `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">${inner}</svg>`;

const text = (x, y, content, attributes = '') => `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`;

function cut(label) {
  return label.length > 44 ? `${label.slice(0, 43)}…` : label;
}

/** The names of the series and their colours. */
function legend(series) {
  if (series.length < 2) return '';
  const items = series.map((name, i) => `<span class="key"><i class="b${i % 8}"></i>${escaped(name)}</span>`);
  return `<div class="legend">${items.join('')}</div>`;
}

/**
 * Horizontal bars, one group for each row.
 * @param {{ title: string, series: string[], rows: { label: string, bars: ({ value: number, low?: number, high?: number,
 *   text: string } | undefined)[] }[] }} chart bars in the order of the series
 */
export function barChart({ title, series, rows }) {
  const all = rows.flatMap(({ bars }) => bars).filter((bar) => bar !== undefined);
  if (all.length === 0) return '';
  const most = Math.max(...all.map(({ value, high }) => Math.max(value, high ?? 0)));
  const scale = (value) => (value / most) * (WIDTH - LABEL - VALUE);
  let y = 4;
  let inner = '';
  for (const { label, bars } of rows) {
    const shown = bars.map((bar, i) => ({ bar, i })).filter(({ bar }) => bar !== undefined);
    if (shown.length === 0) continue;
    const height = shown.length * BAR;
    const middle = y + height / 2 + 4;
    inner += `${text(LABEL - 10, middle, cut(label), 'text-anchor="end"')}`;
    for (const { bar, i } of shown) {
      const width = Math.max(1, scale(bar.value));
      inner += `<rect class="f${i % 8}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" rx="2"><title>${escaped(`${label}${series.length > 1 ? `, ${series[i]}` : ''}: ${bar.text}`)}</title></rect>`;
      let end = width;
      if (bar.low !== undefined && bar.high !== undefined && bar.high > bar.low) {
        const [from, to] = [LABEL + scale(bar.low), LABEL + scale(bar.high)].map((x) => x.toFixed(1));
        const at = y + (BAR - 2) / 2;
        inner += `<path class="whisker" d="M${from} ${at}H${to}M${from} ${at - 3}v6M${to} ${at - 3}v6"/>`;
        end = Math.max(end, scale(bar.high));
      }
      inner += text((LABEL + end + 6).toFixed(1), y + BAR - 3, bar.text, 'class="value"');
      y += BAR;
    }
    y += GAP;
  }
  return `${legend(series)}${svg(y, inner, title)}`;
}

/**
 * How often one thing goes into another: bars to the right of one where it is more, to the left where it is less, on a
 * logarithmic axis, so that twice and half are equally far.
 * @param {{ title: string, rows: { label: string, ratio: number }[] }} chart
 */
export function ratioChart({ title, rows }) {
  if (rows.length === 0) return '';
  const logs = rows.map(({ ratio }) => Math.log2(ratio));
  const low = Math.min(-1, ...logs);
  const high = Math.max(1, ...logs);
  const [left, right] = [LABEL + 50, WIDTH - 60];
  const across = (log) => left + ((log - low) / (high - low)) * (right - left);
  const one = across(0);
  const height = rows.length * 22 + 20;
  let inner = '';
  for (let power = Math.ceil(low); power <= high; power++) {
    const x = across(power).toFixed(1);
    const name = power < 0 ? `1/${2 ** -power}` : `${2 ** power}x`;
    inner += `<path class="${power === 0 ? 'reference' : 'grid'}" d="M${x} 0V${height - 20}"/>`;
    inner += text(x, height - 5, name, 'text-anchor="middle" class="value"');
  }
  rows.forEach(({ label, ratio }, i) => {
    const y = 4 + i * 22;
    const end = across(logs[i]);
    const [from, width] = [Math.min(one, end), Math.max(1, Math.abs(end - one))];
    inner += text(LABEL - 10, y + 12, cut(label), 'text-anchor="end"');
    inner += `<rect class="${ratio >= 1 ? 'f0' : 'f5'}" x="${from.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="14" rx="2"/>`;
    const [at, anchor] = ratio >= 1 ? [end + 6, 'start'] : [end - 6, 'end'];
    inner += text(at.toFixed(1), y + 12, times(ratio), `text-anchor="${anchor}"`);
  });
  return svg(height, inner, title);
}

/** Bars of shares that add up to one. @param {{ title: string, series: string[], rows: { label: string, shares: number[] }[] }} chart */
export function stackedChart({ title, series, rows }) {
  if (rows.length === 0) return '';
  const width = WIDTH - LABEL - 20;
  let inner = '';
  rows.forEach(({ label, shares }, row) => {
    const y = 4 + row * 30;
    inner += text(LABEL - 10, y + 16, cut(label), 'text-anchor="end"');
    let x = LABEL;
    shares.forEach((share, i) => {
      const part = share * width;
      const shown = `${(share * 100).toFixed(1)}%`;
      inner += `<rect class="f${i}" x="${x.toFixed(1)}" y="${y}" width="${Math.max(0, part - 1).toFixed(1)}" height="22" rx="2"><title>${escaped(`${series[i]}: ${shown}`)}</title></rect>`;
      if (part > 46) inner += text((x + part / 2).toFixed(1), y + 15, shown, 'text-anchor="middle" class="inside"');
      x += part;
    });
  });
  return `${legend(series)}${svg(rows.length * 30 + 4, inner, title)}`;
}

/** Latencies by percentile, both axes logarithmic: the right end is what one in ten thousand took. */
export function latencyChart({ title, lines }) {
  const usable = lines.filter(({ quantiles }) => quantiles.length > 2);
  if (usable.length === 0) return '';
  const [left, right, top, bottom] = [70, WIDTH - 20, 10, 250];
  const SHARES = [0.5, 0.9, 0.99, 0.999, 0.9999];
  const across = (share) => {
    const nines = -Math.log10(1 - Math.min(share, 0.9999)) - -Math.log10(0.5);
    return left + (nines / (4 - -Math.log10(0.5))) * (right - left);
  };
  const points = usable.map(({ quantiles }) => quantiles.filter(([share]) => share >= 0.5 && share < 1));
  const values = points.flat().map(([, ms]) => ms);
  const low = Math.floor(Math.log10(Math.max(1e-4, Math.min(...values))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const up = (ms) => bottom - ((Math.log10(Math.max(ms, 10 ** low)) - low) / (high - low)) * (bottom - top);
  let inner = '';
  for (let power = low; power <= high; power++) {
    const y = up(10 ** power).toFixed(1);
    inner += `<path class="grid" d="M${left} ${y}H${right}"/>${text(left - 8, Number(y) + 4, time(10 ** power), 'text-anchor="end"')}`;
  }
  for (const share of SHARES) {
    const x = across(share).toFixed(1);
    const anchor = share === 0.5 ? 'start' : share === 0.9999 ? 'end' : 'middle';
    inner += `<path class="grid" d="M${x} ${top}V${bottom}"/>${text(x, bottom + 18, `P${share * 100}`, `text-anchor="${anchor}"`)}`;
  }
  points.forEach((line, i) => {
    const path = line.map(([share, ms]) => `${across(share).toFixed(1)} ${up(ms).toFixed(1)}`).join('L');
    inner += `<path class="line s${i % 8}" d="M${path}"><title>${escaped(usable[i].label)}</title></path>`;
    for (const [share, ms] of line) {
      inner += `<circle class="f${i % 8}" cx="${across(share).toFixed(1)}" cy="${up(ms).toFixed(1)}" r="3"><title>${escaped(`${usable[i].label}, P${share * 100}: ${time(ms)}`)}</title></circle>`;
    }
  });
  return `${legend(usable.map(({ label }) => label))}${svg(bottom + 28, inner, title)}`;
}
