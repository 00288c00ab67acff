// Draws the charts of a report: `node chart.mjs FILE.json` writes FILE-time.svg and its like beside it.
//
// Times and bytes of messages differ by orders of magnitude, so they are points on one logarithmic axis, each on a line from its least to its greatest round:
// a bar has no beginning there. Other sizes are bars from zero, every group on a scale of its own. The drawing follows the reader's light or
// dark scheme, and its text stays readable at the width of a telephone.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { benches } from './benches.mjs';
import { met } from './figures.mjs';

const labels = {
  shoal: 'Shoal',
  'shoal-worker': 'in a worker',
  raw: 'IndexedDB',
  dexie: 'Dexie',
  rxdb: 'RxDB',
  pouchdb: 'PouchDB',
  yjs: 'Yjs',
  sqlite: 'SQLite',
  'sqlite-opfs': 'on OPFS',
};

const width = 520;
const left = 86;
const right = 70;
const plot = width - left - right;
const rowHeight = 19;
const titleHeight = 26;
const groupGap = 10;
const axisHeight = 22;
const headHeight = 50;
const decadesMax = 7;
/** Of a logarithmic axis; what is less than `least`, by the noise of a difference perhaps nothing, is drawn there. */
const axes = { ms: { least: 0.0001, told: duration }, bytes: { least: 1, told: amount } };

const style = `
  svg { --page: #ffffff; --ink: #1c2733; --quiet: #5d6b7a; --line: #dde3e9; --peer: #7b8a99; --own: #0b6bcb; --goal: #b4540a; }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0f151b; --ink: #e6ebf0; --quiet: #98a5b3; --line: #2a343e; --peer: #7f8e9d; --own: #57a8f5; --goal: #eda35c; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
  .page { fill: var(--page); }
  .head { font-size: 15px; font-weight: 600; }
  .quiet { fill: var(--quiet); font-size: 12px; }
  .title { font-weight: 600; }
  .number { font-variant-numeric: tabular-nums; }
  .own { fill: var(--own); }
  .peer { fill: var(--peer); }
  .range-own { stroke: var(--own); stroke-width: 2; }
  .range-peer { stroke: var(--peer); stroke-width: 2; }
  .grid { stroke: var(--line); }
  .goal { stroke: var(--goal); stroke-width: 1.5; stroke-dasharray: 4 3; }
  .told { fill: var(--goal); font-size: 12px; }
`;

/** Writes the charts of a report beside its file; one of which nothing was measured is left out. */
export async function drawCharts(file, report) {
  const base = file.replace(/\.json$/, '');
  const { charts } = benches[report.bench];
  for (const chart of charts) {
    const drawn = draw(chart, groupsOf(report, chart.figures));
    if (drawn !== undefined) await writeFile(`${base}-${chart.name}.svg`, drawn);
  }
}

function draw(chart, groups) {
  if (groups.length === 0) return undefined;
  return chart.kind === 'points' ? pointChart(chart, groups) : barChart(chart, groups);
}

function pointChart(chart, groups) {
  const { least, told } = axes[groups[0].unit] ?? axes.ms;
  const values = groups.flatMap(({ rows, goal }) => [...rows.flatMap(({ figure }) => [figure.min, figure.max]), ...(goal === undefined ? [] : [goal])]).map((value) => Math.max(value, least));
  const decades = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const x = (value) => left + (plot * (Math.log10(Math.max(value, least)) - decades[0])) / (decades[1] - decades[0]);
  const parts = [];
  const bottom = height(groups) - axisHeight;
  // Labels of more decades than this would run into each other.
  const step = Math.ceil((decades[1] - decades[0]) / decadesMax);
  for (let decade = decades[0]; decade <= decades[1]; decade += 1) {
    const at = place(x(10 ** decade));
    parts.push(`<line class="grid" x1="${at}" x2="${at}" y1="${headHeight}" y2="${bottom}"/>`);
    if ((decade - decades[0]) % step === 0) parts.push(text(at, bottom + 16, told(10 ** decade), 'quiet', 'middle'));
  }
  drawGroups(groups, parts, { scale: () => x, mark: dot, told });
  return drawing(groups, parts, chart);
}

function barChart(chart, groups) {
  const scale = ({ rows, goal }) => {
    const greatest = Math.max(...rows.map(({ figure }) => figure.value), goal ?? 0);
    return (value) => left + (plot * Math.max(0, value)) / greatest;
  };
  const parts = [];
  drawGroups(groups, parts, { scale, mark: bar, told: size });
  return drawing(groups, parts, chart);
}

/** What is drawn: for every figure that was measured, its rows with ours first; times in milliseconds. */
function groupsOf(report, names) {
  const { goals, extras } = benches[report.bench];
  const contestants = [['shoal', report], ...Object.entries(report.peers)];
  return names
    .map((name) => {
      const { unit, goal, over, title } = goals[name] ?? extras[name];
      const factor = unit === 'us' ? 0.001 : 1;
      const of = (part) => part[name] ?? part.extra[name];
      const measured = contestants.filter(([, part]) => typeof of(part)?.value === 'number');
      const scaled = ({ value, min, max }) => ({ value: value * factor, min: min * factor, max: max * factor });
      const rows = measured.map(([contestant, part]) => ({ contestant, figure: scaled(of(part)) }));
      return { title, unit, over, rows, goal: goal === undefined ? undefined : goal * factor };
    })
    .filter(({ rows }) => rows.length > 0);
}

function height(groups) {
  const each = groups.map(({ rows }) => titleHeight + rows.length * rowHeight + groupGap);
  return headHeight + each.reduce((sum, one) => sum + one, 0) + axisHeight;
}

function drawGroups(groups, parts, { scale, mark, told }) {
  let y = headHeight;
  for (const group of groups) {
    const x = scale(group);
    const own = group.rows.find(({ contestant }) => contestant === 'shoal');
    const write = (value) => told(value, group.unit);
    parts.push(text(0, y + 18, group.title, 'title'));
    if (group.goal !== undefined) {
      const verdict = own === undefined ? '' : met(group, own.figure.value) ? ', met' : ', missed';
      parts.push(text(width, y + 18, `goal ${write(group.goal)}${verdict}`, 'told', 'end'));
    }
    y += titleHeight;
    const end = y + group.rows.length * rowHeight;
    for (const [row, { contestant, figure }] of group.rows.entries()) {
      const middle = y + row * rowHeight + rowHeight / 2;
      const kind = contestant === 'shoal' ? 'own' : 'peer';
      parts.push(text(left - 10, middle + 4.5, labels[contestant] ?? contestant, kind === 'own' ? 'title' : '', 'end'));
      parts.push(mark(figure, x, middle, kind));
      parts.push(text(width, middle + 4.5, write(figure.value), kind === 'own' ? 'title number' : 'number', 'end'));
    }
    if (group.goal !== undefined) {
      const at = place(x(group.goal));
      parts.push(`<line class="goal" x1="${at}" x2="${at}" y1="${y}" y2="${end}"/>`);
    }
    y = end + groupGap;
  }
}

function dot({ value, min, max }, x, y, kind) {
  const range = `<line class="range-${kind}" x1="${place(x(min))}" x2="${place(x(max))}" y1="${y}" y2="${y}"/>`;
  return `${range}<circle class="${kind}" cx="${place(x(value))}" cy="${y}" r="4.5"/>`;
}

function bar({ value }, x, y, kind) {
  const length = Math.max(1, x(value) - left);
  return `<rect class="${kind}" x="${left}" y="${y - 6}" width="${place(length)}" height="12" rx="1.5"/>`;
}

function drawing(groups, parts, { title: head, note }) {
  const all = height(groups);
  const margin = 16;
  const box = `${-margin} ${-margin} ${width + 2 * margin} ${all + margin}`;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" width="${width + 2 * margin}" height="${all + margin}" role="img" aria-label="${head}">`,
    `<title>${head}</title>`,
    `<style>${style}</style>`,
    `<rect class="page" x="${-margin}" y="${-margin}" width="${width + 2 * margin}" height="${all + margin}"/>`,
    text(0, 14, head, 'head'),
    text(0, 34, note, 'quiet'),
    ...parts,
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function text(x, y, words, names = '', anchor = 'start') {
  const kind = names ? ` class="${names}"` : '';
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${x}" y="${y}"${kind}${where}>${words}</text>`;
}

function duration(ms) {
  if (ms >= 1000) return `${plain(ms / 1000)} s`;
  if (ms >= 1 || ms <= 0) return `${plain(ms)} ms`;
  return ms >= 0.001 ? `${plain(ms * 1000)} µs` : `${plain(ms * 1e6)} ns`;
}

function amount(bytes) {
  if (bytes >= 1e6) return `${plain(bytes / 1e6)} MB`;
  return bytes >= 1000 ? `${plain(bytes / 1000)} kB` : `${plain(bytes)} B`;
}

const size = (value, unit) => (unit === 'bytes' ? `${plain(value)} B` : value < 0.01 ? '&lt; 0.01 ×' : `${plain(value)} ×`);

/** Three figures at most. */
const plain = (value) => String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
const place = (value) => Number(value.toFixed(1));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = path.resolve(process.argv[2] ?? '');
  await drawCharts(file, JSON.parse(await readFile(file, 'utf8')));
}
