// What the pages do beside being read: they say how long ago things were, and find services. Texts from the catalogue only
// ever become the text of a node or the value of an attribute, never markup.
'use strict';

const perPage = 50; // as many as the page comes with
const marks = { live: ['✓', 'last delivery passed', 'ok'], kept: ['✗', 'last delivery failed', 'bad'], none: ['–', 'nothing live yet', 'none'], unsure: ['?', 'not determined', 'unsure'] };
const units = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60]];
const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

function tellAgo(within) {
  for (const time of within.querySelectorAll('time.ago')) {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || ['minute', 60];
    if (!time.title) time.title = time.textContent;
    time.textContent = words.format(Math.trunc(seconds / size), unit);
  }
}

function make(tag, className, ...inside) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside);
  return node;
}

function link(href, text) {
  const node = make('a', '', text);
  node.setAttribute('href', href);
  return node;
}

function hiddenMark(text) {
  const node = make('span', '', text);
  node.setAttribute('aria-hidden', 'true');
  return node;
}

function svg(tag, attributes, ...inside) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

// spark is the rhythm of the deliveries, as idp draws it: two digits a week, passed and not.
function spark(digits) {
  const tall = 16;
  const weeks = digits.match(/../g).map((two) => [...two].map((d) => parseInt(d, 36)));
  const most = Math.max(1, ...weeks.map(([ok, bad]) => ok + bad));
  const bars = weeks.flatMap(([ok, bad], i) => {
    const bar = (look, y, height) => (height > 0 ? [svg('rect', { class: look, x: 5 * i, y, width: 4, height })] : []);
    const all = ok + bad;
    if (all === 0) return bar('idle', tall - 1, 1);
    const height = Math.ceil((tall * all) / most);
    const wrong = Math.ceil((height * bad) / all);
    return [...bar('bad', tall - height, wrong), ...bar('ok', tall - height + wrong, height - wrong)];
  });
  return svg('svg', { class: 'spark', width: 5 * weeks.length, height: tall, 'aria-hidden': 'true' }, ...bars);
}

// row is the same as the one that idp writes.
function row([name, file, description, owner, tier, , , environments, last, cost, charge, , weeks], owners) {
  const ago = () => {
    const time = make('time', 'ago', new Date(last).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' }));
    time.setAttribute('datetime', last);
    return time;
  };
  const brief = make('span', 'sub brief', owner < 0 ? '' : `${owners[owner][0]} · `, last ? ago() : 'none yet', ` · ${cost || 'cost not known'}`);
  const head = make('th', '', link(file, name), make('span', 'sub', description), brief);
  head.setAttribute('scope', 'row');
  const time = last ? ago() : make('span', 'muted', 'none yet');
  const chips = environments.map(([environment, state]) => {
    const [mark, word, look] = marks[state];
    return make('span', `chip ${look}`, hiddenMark(mark), make('span', '', environment), make('span', 'hidden', `: ${word}`));
  });
  return make('tr', '', head, make('td', 'owner', ...(owner < 0 ? [] : [link(owners[owner][1], owners[owner][0])])), make('td', 'tier', tier ? `Tier ${tier}` : ''),
    make('td', '', make('span', 'chips', ...chips)), make('td', 'last', time, spark(weeks)), make('td', 'cost', cost || make('span', 'muted', 'not known'), ...(charge ? [make('span', 'sub', charge)] : [])));
}

const list = document.getElementById('filters');
const fields = ['q', 'owner', 'tier', 'runbook', 'state'];
let all; // of the data script; a promise once somebody looks for something
let shown = 0; // first row on the page

// eslint-disable-next-line no-unused-vars -- the data script calls it
function portal(data) {
  data.services.forEach((s) => s.push(`${s[0]} ${s[2]} ${s[3] < 0 ? '' : data.owners[s[3]][0]} ${s[5]}`.toLowerCase()));
  all.data = data;
}

function load() {
  all ||= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = 'assets/services.js';
    script.onload = () => (all.data ? resolve(all.data) : reject(new Error('it is not the list of this site')));
    script.onerror = () => reject(new Error('it is not there'));
    document.head.append(script);
  });
  return all;
}

function found(data) {
  const [q, owner, tier, runbook, state] = fields.map((id) => document.getElementById(id).value);
  const terms = q.toLowerCase().split(/\s+/).filter(Boolean);
  return data.services.filter((s) => (owner === '' || (s[3] >= 0 && data.owners[s[3]][0] === owner)) && (tier === '' || String(s[4]) === tier) &&
    (runbook === '' || !s[11]) && (state === 'all' || s[6] === state) && terms.every((t) => s[s.length - 1].includes(t)));
}

const number = (n) => n.toLocaleString('en');

async function show() {
  const count = document.getElementById('count');
  let data;
  try {
    data = await load();
  } catch (e) {
    count.textContent = `The list of services could not be read: ${e.message}. What is shown is only its beginning.`;
    return;
  }
  const services = found(data);
  if (shown >= services.length) shown = 0;
  const rows = services.slice(shown, shown + perPage);
  const body = document.querySelector('#services tbody');
  body.replaceChildren(...rows.map((s) => row(s, data.owners)));
  tellAgo(body);
  const noun = services.length === 1 ? 'service' : 'services';
  count.textContent = services.length === 0 ? 'No service is like that.' :
    services.length <= perPage ? `${number(services.length)} ${noun}` : `${number(shown + 1)}–${number(shown + rows.length)} of ${number(services.length)} ${noun}`;
  pager(services.length);
  for (const tile of document.querySelectorAll('[data-state]')) {
    if (tile.dataset.state === document.getElementById('state').value) tile.setAttribute('aria-current', 'true');
    else tile.removeAttribute('aria-current');
  }
}

function pager(total) {
  document.getElementById('pages').hidden = total <= perPage;
  document.getElementById('previous').disabled = shown === 0;
  document.getElementById('next').disabled = shown + perPage >= total;
}

// What is looked for is in the address, so that it can be sent to somebody.
function remember() {
  const wanted = new URLSearchParams();
  for (const id of fields) {
    const value = document.getElementById(id).value;
    if (value && value !== 'all') wanted.set(id, value);
  }
  history.replaceState(null, '', `#${wanted}`);
}

function recall() {
  if (!location.hash.includes('=')) return;
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const id of fields) {
    const field = document.getElementById(id);
    field.value = wanted.get(id) ?? (id === 'state' ? 'all' : '');
    if (field.selectedIndex < 0) field.selectedIndex = 0;
  }
  shown = 0;
  show();
}

function turn(by) {
  shown += by * perPage;
  show().then(() => {
    const table = document.getElementById('services');
    table.tabIndex = -1;
    table.focus({ preventScroll: true });
    table.scrollIntoView();
  });
}

tellAgo(document);
// Paper is read on another day.
window.addEventListener('beforeprint', () => {
  for (const time of document.querySelectorAll('time.ago[title]')) time.textContent = time.title;
});
window.addEventListener('afterprint', () => tellAgo(document));
if (list) {
  list.hidden = false;
  let wait;
  list.addEventListener('submit', (e) => e.preventDefault());
  list.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => { shown = 0; remember(); show(); }, 100);
  });
  document.getElementById('previous').addEventListener('click', () => turn(-1));
  document.getElementById('next').addEventListener('click', () => turn(1));
  window.addEventListener('hashchange', recall);
  pager(Number(list.dataset.total));
  recall();
}
