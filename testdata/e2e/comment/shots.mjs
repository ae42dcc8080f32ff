// Opens comments in a browser as GitHub shows them, and takes pictures: node shots.mjs BROWSER CASES.json FOLDER. It fails where
// a page asks for anything, runs anything, or is wider than the screen.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { page as pageOf } from './github.mjs';

const [browser, cases, folder] = process.argv.slice(2);
const style = readFileSync(new URL('node_modules/github-markdown-css/github-markdown.css', import.meta.url), 'utf8');
const document = (body) => `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>comment</title><style>${style}
  body { margin: 16px; background: light-dark(#fff, #0d1117); color-scheme: light dark; }
  .box { max-width: 780px; border: 1px solid light-dark(#d1d9e0, #3d444d); border-radius: 6px; }
  .head { padding: 8px 16px; font: 14px sans-serif; color: light-dark(#59636e, #9198a1); background: light-dark(#f6f8fa, #151b23); border-bottom: 1px solid light-dark(#d1d9e0, #3d444d); border-radius: 6px 6px 0 0; }
  .markdown-body { padding: 16px; font-size: 14px; border-radius: 6px; }
  </style><div class="box"><div class="head"><b>github-actions</b> bot commented now</div><div class="markdown-body">${body}</div></div>`;
const screens = { desktop: { width: 1012, height: 800 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 } };
const tallest = 4000; // pixels of a picture

const slow = 180_000; // milliseconds that a machine may take for anything
const chrome = await puppeteer.launch({ executablePath: browser, timeout: slow, protocolTimeout: 2 * slow, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
let count = 0;
const wrong = (name, what) => { count++; console.error(`${name}: ${what}`); };
mkdirSync(folder, { recursive: true });
try {
  for (const [name, markdown] of Object.entries(JSON.parse(readFileSync(cases, 'utf8')))) {
    for (const [screen, viewport] of Object.entries(screens)) {
      for (const scheme of ['light', 'dark']) {
        const tab = await chrome.newPage();
        tab.setDefaultTimeout(slow);
        await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await tab.setViewport(viewport);
        tab.on('request', (r) => r.url().startsWith('data:') || r.url() === 'about:blank' || wrong(name, `it asks for ${r.url()}`));
        tab.on('dialog', (d) => { wrong(name, `it says ${d.message()}`); d.dismiss(); });
        tab.on('pageerror', (e) => wrong(name, String(e)));
        await tab.setContent(document(pageOf(markdown)));
        for (const open of [false, true]) {
          const folded = await tab.$$eval('details', (all, open) => { all.forEach((d) => { d.open = open; }); return all.length; }, open);
          if (open && folded === 0) continue;
          const size = await tab.evaluate(() => ({ width: globalThis.document.documentElement.scrollWidth, height: Math.ceil(globalThis.document.querySelector('.box').getBoundingClientRect().bottom) + 16, text: globalThis.document.body.innerText.length }));
          if (size.width > viewport.width) wrong(name, `on a ${screen} it is ${size.width} pixels wide, of ${viewport.width}`);
          if (size.text < 100) wrong(name, `on a ${screen} it is empty`);
          await tab.screenshot({ path: join(folder, `${name}-${screen}-${scheme}${open ? '-open' : ''}.png`), clip: { x: 0, y: 0, width: viewport.width, height: Math.min(size.height, tallest) }, captureBeyondViewport: true });
        }
        await tab.close();
      }
    }
  }
} finally {
  await chrome.close();
}
process.exit(count > 0 ? 1 : 0);
