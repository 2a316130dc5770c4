// What became of the suggestions of the last days: bars, and the same as a table.

import { ask } from './ask.js';
import { byId, count, element } from './dom.js';

const HEIGHT = 190;
const LEAST_WIDTH = 200; // also while the page has none yet
const MARGIN = { top: 10, right: 14, bottom: 24, left: 38 };
const FEWEST_AT_TOP = 5;

let days = [];
let lastAskedMs = 0;

/** Ask now and then, for days pass slowly. */
export async function hear() {
  if (days.length && performance.now() - lastAskedMs < 60_000) return;
  lastAskedMs = performance.now();
  try {
    days = (await ask('/v1/page/days?n_days=14')).days;
    byId('days-error').textContent = '';
    byId('day-table').tBodies[0].replaceChildren(...days.toReversed().map(row));
    draw();
  } catch (error) {
    byId('days-error').textContent = error.message;
  }
}

export function start() {
  new ResizeObserver(() => days.length && draw()).observe(byId('plot'));
}

function row(day) {
  const counts = [day.n_shown, day.n_accepted, day.n_typed_along];
  const cells = counts.map((n) => element('td', {}, count(n)));
  return element('tr', {}, element('th', { scope: 'row' }, day.day), ...cells);
}

function draw() {
  const plot = byId('plot');
  const total = (name) => days.reduce((sum, day) => sum + day[name], 0);
  if (!total('n_shown')) {
    plot.replaceChildren(element('p', { className: 'empty' }, 'No suggestion has been counted in these days.'));
    return;
  }
  const words = `In ${days.length} days ${count(total('n_shown'))} suggestions were shown, ${count(total('n_accepted'))} accepted and ${count(total('n_typed_along'))} typed along. The table below has each day.`;
  plot.replaceChildren(picture(Math.max(LEAST_WIDTH, plot.clientWidth), words));
}

function picture(width, words) {
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const most = Math.max(FEWEST_AT_TOP, ...days.map((day) => day.n_shown));
  const step = roundStep(most / 4);
  const y = (n) => MARGIN.top + inner.height * (1 - n / most);
  const parts = [];
  for (let n = 0; n <= most; n += step) {
    parts.push(svg('line', { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(n), y2: y(n), class: 'grid' }));
    parts.push(svg('text', { x: MARGIN.left - 6, y: y(n) + 4, 'text-anchor': 'end' }, count(n)));
  }
  const slot = inner.width / days.length;
  const nLabels = Math.max(1, Math.ceil(52 / slot)); // one label for so many days
  days.forEach((day, at) => {
    const left = MARGIN.left + at * slot;
    parts.push(bar(day, left + slot * 0.15, slot * 0.7, y));
    if ((days.length - 1 - at) % nLabels === 0) {
      parts.push(svg('text', { x: left + slot / 2, y: HEIGHT - 7, 'text-anchor': 'middle' }, day.day.slice(5)));
    }
  });
  return svg('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': words }, ...parts);
}

/** Accepted below, typed along on it, and the rest of those shown at the top. */
function bar(day, x, width, y) {
  const rest = day.n_shown - day.n_accepted - day.n_typed_along;
  let from = 0;
  const pieces = [['accepted', day.n_accepted], ['typed', day.n_typed_along], ['shown', rest]].map(([kind, n]) => {
    const piece = svg('rect', { x, width, y: y(from + n), height: y(from) - y(from + n), class: kind });
    from += n;
    return piece;
  });
  const title = `${day.day}: ${day.n_shown} shown, ${day.n_accepted} accepted, ${day.n_typed_along} typed along`;
  return svg('g', {}, svg('title', {}, title), ...pieces);
}

/** 1, 2 or 5 times a power of ten. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// As the page itself has no address of others in it, the browser says what SVG's namespace is.
const NAMESPACE = new DOMParser().parseFromString('<svg></svg>', 'text/html').querySelector('svg').namespaceURI;
