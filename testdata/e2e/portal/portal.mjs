// Opens the pages of a portal in a browser, from a folder: node portal.mjs BROWSER PLAN.json. The plan names sites and what to do with
// them; every wrong thing is printed, and the program then fails.
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const [browser, file] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(file, 'utf8'));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const screens = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 } };
const tallest = 3000; // pixels of a picture

const firefox = plan.browser === 'firefox'; // which is spoken to by WebDriver BiDi
const slow = 180_000; // milliseconds that a machine may take for anything: what is waited for is a condition, never a time
const chrome = await puppeteer.launch({ executablePath: browser, timeout: slow, protocolTimeout: 2 * slow,
  ...(firefox ? { browser: 'firefox' } : { args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] }) });
async function newTab() {
  const tab = await chrome.newPage();
  tab.setDefaultTimeout(slow);
  return tab;
}
let count = 0;
const wrong = (where, what) => { count++; console.error(`${where}: ${what}`); };

// served gives the address of a site below a path, as GitHub Pages has it: https://acme.github.io/catalogue/. Everything beside it is a
// wrong thing.
const under = '/catalogue/';
const types = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'application/javascript; charset=utf-8', '.json': 'application/json; charset=utf-8' };
const servers = [];
async function served(site) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
    const name = path.slice(under.length) || 'index.html';
    try {
      if (!path.startsWith(under) || name.split('/').includes('..') || !types[extname(name)]) throw new Error('not of the site');
      response.writeHead(200, { 'content-type': types[extname(name)] }).end(readFileSync(join(site, name)));
    } catch {
      wrong(path, 'the site is asked for it and does not have it');
      response.writeHead(404).end();
    }
  });
  servers.push(server);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${server.address().port}${under}`;
}

// home is the address of a site: of a folder, or below a path of a web server.
const homes = new Map();
async function home(site, web) {
  if (!web) return pathToFileURL(site).href + '/';
  if (!homes.has(site)) homes.set(site, await served(site));
  return homes.get(site);
}

// open gives a tab that takes everything for wrong that a portal must not do: asking for what is not its own, and running what is not.
async function open(site, page, { screen = 'desktop', scheme = 'light', javascript = true, web = false } = {}) {
  const tab = await newTab();
  const where = `${page} (${screen}, ${scheme}${web ? ', on the web' : ''})`;
  await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await tab.setViewport(screens[screen]);
  await tab.setJavaScriptEnabled(javascript);
  await tab.evaluateOnNewDocument((now) => { // pictures are the same tomorrow
    const Real = Date;
    globalThis.Date = class extends Real { constructor(...a) { super(...(a.length ? a : [now])); } static now() { return now; } };
  }, plan.now);
  const own = await home(site, web);
  tab.on('request', (r) => r.url().startsWith(own) || r.url().startsWith('data:') || wrong(where, `it asks for ${r.url()}`));
  tab.on('requestfailed', (r) => wrong(where, `it has no ${r.url()}`));
  tab.on('dialog', (d) => { wrong(where, `it says ${d.message()}`); d.dismiss(); });
  tab.on('pageerror', (e) => wrong(where, String(e)));
  tab.on('console', (m) => ['error', 'warn'].includes(m.type()) && wrong(where, m.text()));
  await tab.goto(own + page, { waitUntil: 'load' });
  return { tab, where };
}

// look takes pictures and holds a page against the rules of axe-core.
async function look({ site, pages, folder, schemes = ['light', 'dark'] }) {
  mkdirSync(folder, { recursive: true });
  for (const [name, page] of Object.entries(pages)) {
    for (const screen of Object.keys(screens)) {
      for (const scheme of schemes) {
        const { tab, where } = await open(site, page, { screen, scheme });
        await tab.waitForFunction(() => !globalThis.document.querySelector('time.ago:not([title])'));
        const size = await tab.evaluate(() => ({ width: globalThis.document.documentElement.scrollWidth, height: globalThis.document.documentElement.scrollHeight, text: globalThis.document.body.innerText.length }));
        if (size.width > screens[screen].width) wrong(where, `it is ${size.width} pixels wide, of ${screens[screen].width}`);
        if (size.text < 100) wrong(where, 'it is empty');
        await tab.screenshot({ path: join(folder, `${name}-${screen}-${scheme}.png`), clip: { x: 0, y: 0, width: screens[screen].width, height: Math.min(size.height, tallest) }, captureBeyondViewport: true });
        await tab.$$eval('details', (all) => all.forEach((d) => { d.open = true; }));
        await rules(tab, where);
        await tab.close();
      }
    }
  }
}

async function rules(tab, where) {
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => globalThis.axe.run(globalThis.document, { preload: false }));
  if (found.passes.length < 10) wrong(where, `axe-core looked at ${found.passes.length} rules only`);
  for (const v of found.violations) wrong(where, `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html).join(' | ')}`);
}

const text = (tab, selector) => tab.$eval(selector, (e) => e.textContent);
const rowsOf = (tab) => tab.$$eval('#services tbody tr', (all) => all.map((r) => r.outerHTML));

async function until(tab, where, what, f, ...args) {
  try { await tab.waitForFunction(f, { timeout: slow, polling: 20 }, ...args); } catch { wrong(where, `it never came to this: ${what}; it says ${await tab.evaluate(() => globalThis.document.getElementById('count')?.textContent)}`); }
}

const counted = (tab, where, want) => until(tab, where, want, (want) => globalThis.document.getElementById('count')?.textContent === want, want);

// find looks for services as somebody does who has a keyboard only.
async function find({ site, searches, total, web, unread }) {
  const { tab, where } = await open(site, 'index.html', { web });
  const before = await rowsOf(tab);
  await tab.keyboard.press('Tab');
  if (await tab.evaluate(() => globalThis.document.activeElement.textContent) !== 'Skip to content') wrong(where, 'the first stop of the keyboard is not the way to the content');
  for (let i = 0; i < 40 && await tab.evaluate(() => globalThis.document.activeElement.id) !== 'q'; i++) await tab.keyboard.press('Tab');
  for (const { q, count, first } of searches) {
    await tab.evaluate(() => { globalThis.document.getElementById('q').value = ''; });
    await tab.keyboard.type(q);
    await counted(tab, where, count);
    const name = first && await text(tab, '#services tbody tr th a');
    if (name !== first) wrong(where, `for ${q} it finds ${name} first, not ${first}`);
  }
  await tab.evaluate(() => { globalThis.document.getElementById('q').value = ''; });
  await tab.keyboard.type(' ');
  await counted(tab, where, total);
  if (unread) {
    await tab.select('#runbook', 'none');
    await counted(tab, where, unread);
    if (!tab.url().includes('runbook=none')) wrong(where, `what is looked for is not in ${tab.url()}`);
    await tab.select('#runbook', '');
    await counted(tab, where, total);
  }
  const after = await rowsOf(tab); // the script writes the rows that idp wrote
  if (JSON.stringify(before) !== JSON.stringify(after)) wrong(where, `the rows of the script are others:\n${before.find((r, i) => r !== after[i])}\n${after.find((r, i) => r !== before[i])}`);
  await rules(tab, where);
  await tab.close();
}

// turn goes to the second page of a long list and back, and follows an address with a search in it.
async function turn({ site, second, state, count, web }) {
  const { tab, where } = await open(site, 'index.html', { web });
  await tab.focus('#next');
  await tab.keyboard.press('Enter');
  await counted(tab, where, second);
  await tab.goto(`${await home(site, web)}index.html#state=${state}`);
  await counted(tab, where, count);
  await tab.reload();
  await counted(tab, where, count);
  await tab.close();
}

// measure prints what the first view costs, and holds its size: how long it takes depends on the machine.
async function measure({ site, page, limit }) {
  const times = [];
  for (let i = 0; i < 5; i++) {
    const tab = await newTab();
    await tab.setCacheEnabled(false);
    const files = new Set();
    tab.on('request', (r) => r.url().startsWith('file:') && files.add(new URL(r.url()).pathname));
    await tab.goto(`${pathToFileURL(site).href}/${page}`, { waitUntil: 'load' });
    await tab.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
    times.push(await tab.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.getEntriesByType('navigation')[0].loadEventEnd]));
    const bytes = [...files].reduce((sum, f) => sum + readFileSync(decodeURIComponent(f)).length, 0);
    if (bytes > limit || bytes === 0) wrong(page, `the first view takes ${bytes} bytes in ${files.size} files, of ${limit}`);
    if (i === 0) console.log(`${page}: ${bytes} bytes in ${files.size} files before anybody does anything`);
    await tab.close();
  }
  times.sort((a, b) => a[1] - b[1]);
  console.log(`${page}: first contentful paint ${times[2][0].toFixed(0)} ms, loaded ${times[2][1].toFixed(0)} ms (median of 5)`);
}

// plain reads pages without a script, and prints one.
async function plain({ site, pages, folder }) {
  for (const [name, page] of Object.entries(pages)) {
    const { tab, where } = await open(site, page, { javascript: false });
    if (await tab.$$eval('form, #pages', (all) => all.some((e) => e.checkVisibility()))) wrong(where, 'without a script it shows what needs one');
    if ((await tab.$$('main')).length !== 1) wrong(where, 'without a script it has nothing');
    const pdf = await tab.pdf({ path: join(folder, `${name}.pdf`), format: 'A4' });
    if (pdf.length < 5000) wrong(where, 'printed, it is empty');
    await tab.emulateMediaType('print');
    await tab.setViewport({ width: 794, height: 1123 }); // A4 at 96 dpi
    await tab.screenshot({ path: join(folder, `${name}-print.png`), fullPage: true });
    const width = await tab.evaluate(() => globalThis.document.documentElement.scrollWidth);
    if (width > 794) wrong(where, `on paper it is ${width} pixels wide, of 794`);
    if (await tab.$$eval('.top nav, .filters, .pages', (all) => all.some((e) => e.checkVisibility()))) wrong(where, 'it prints what nobody can press on paper');
    await tab.close();
    const scripted = await open(site, page);
    await scripted.tab.evaluate(() => globalThis.dispatchEvent(new Event('beforeprint')));
    const relative = await scripted.tab.$$eval('time.ago', (all) => all.map((t) => t.textContent).filter((t) => !/^\d{1,2} [A-Z][a-z]{2} \d{4}$/.test(t)));
    if (relative.length > 0) wrong(where, `printed, it says ${relative[0]}, which is another day when it is read`);
    await scripted.tab.close();
  }
}

// walk opens the site as it is served, without naming a page, and follows every link to every page of it.
async function walk({ site, pages }) {
  const own = await home(site, true);
  const seen = new Set([own]);
  const todo = [own];
  const { tab, where } = await open(site, '', { web: true });
  while (todo.length > 0) {
    const address = todo.pop();
    const response = address === own ? null : await tab.goto(address, { waitUntil: 'load' });
    if (response && response.status() !== 200) wrong(where, `${address} is answered by ${response.status()}`);
    const { links, styled, text } = await tab.evaluate(() => ({ links: [...globalThis.document.links].map((a) => a.href), text: globalThis.document.body.innerText.length,
      styled: getComputedStyle(globalThis.document.querySelector('.brand')).textDecorationLine === 'none' }));
    if (!styled || text < 100) wrong(where, `${address} is empty, or without its style`);
    for (const link of links) {
      const page = link.split('#')[0];
      if (new URL(page).origin === new URL(own).origin && !seen.has(page)) {
        seen.add(page);
        todo.push(page);
      }
    }
  }
  const missed = pages.filter((page) => !seen.has(own + page));
  if (missed.length > 0 || pages.length < 10) wrong(where, `of ${pages.length} pages no link leads to ${missed.join(', ')}`);
  await tab.close();
}

// visit does what most people do, by what every browser can be told: looks for a service, chooses a team, reads a page, and goes back.
// Firefox looks for /favicon.ico of its own accord, which the policy of the pages then blocks.
async function visit({ site, web, q, first, owner, owned, folder }) {
  const own = await home(site, web);
  const where = `${plan.browser}${web ? ', on the web' : ''}`;
  const tab = await newTab();
  tab.on('request', (r) => r.url().startsWith(own) || r.url().startsWith('data:') || wrong(where, `it asks for ${r.url()}`));
  const said = (text) => text.includes('/favicon.ico because') || wrong(where, text);
  tab.on('pageerror', (e) => said(String(e)));
  tab.on('console', (m) => ['error', 'warn'].includes(m.type()) && said(m.text()));
  await tab.goto(`${own}index.html`, { waitUntil: 'load' });
  const before = await rowsOf(tab);
  await tab.click('#q');
  await tab.keyboard.type(q);
  await counted(tab, where, '1 service');
  if (await text(tab, '#services tbody tr th a') !== first) wrong(where, `for ${q} it finds another one than ${first}`);
  await tab.$eval('#q', (e) => { e.value = ''; });
  await tab.select('#owner', owner);
  await counted(tab, where, owned);
  await tab.click('#services tbody tr th a');
  await until(tab, where, 'the page of a service', () => globalThis.document.readyState === 'complete' && globalThis.document.getElementById('runs') !== null);
  const page = await tab.evaluate(() => ({ name: globalThis.document.querySelector('h1').textContent, owner: globalThis.document.querySelector('.facts a').textContent,
    styled: getComputedStyle(globalThis.document.querySelector('.brand')).textDecorationLine === 'none', told: globalThis.document.querySelector('time.ago[title]') !== null,
    dark: getComputedStyle(globalThis.document.body).backgroundColor, bars: globalThis.document.querySelectorAll('rect.bar').length,
    wide: globalThis.document.documentElement.scrollWidth - globalThis.document.documentElement.clientWidth }));
  if (page.owner !== owner || !page.styled || !page.told || page.bars < 6 || page.wide > 0 || page.dark === 'rgba(0, 0, 0, 0)') wrong(where, `the page of a service is ${JSON.stringify(page)}`);
  await tab.screenshot({ path: join(folder, `${plan.browser}-service${web ? '-web' : ''}.png`) });
  await tab.evaluate(() => { setTimeout(() => globalThis.history.back(), 0); }); // goBack waits for a page to load, and Firefox may still have it
  await tab.waitForSelector('#count');
  await counted(tab, where, owned); // what was looked for is in the address
  await tab.select('#owner', '');
  await counted(tab, where, `${before.length} services`);
  if (JSON.stringify(before) !== JSON.stringify(await rowsOf(tab))) wrong(where, 'the rows of the script are others than those of the page');
  await tab.close();
}

const steps = { visit, look, find, turn, measure, plain, walk };
try {
  for (const step of plan.steps) await steps[step.do](step);
} finally {
  await chrome.close();
  for (const server of servers) server.close();
}
process.exit(count > 0 ? 1 : 0);
