// Holds comments against comments of the same form with harmless strings: node dom.mjs PAIRS.json. Neither renderer may make
// other elements of them, no link may lead elsewhere, and nothing may be left that GitHub would turn into a link, a picture
// or a notification afterwards. It also fails where it would let a comment pass that certainly is not harmless.
import { readFileSync } from 'node:fs';
import { parse, renderers } from './github.mjs';

const home = 'https://github.com/acme/checkout/';
// What GitHub's filters look for in the text of a page, outside of code and links.
const autolinked = /(^|\W)@[a-z0-9]|#[0-9]|\bgh-[0-9]|\b[0-9a-f]{7,40}\b|:[a-z0-9_+-]+:|https?:\/\/|www\.[a-z]/i;
const apart = ['pre', 'code', 'a'];
const structural = (node) => !['code', 'span'].includes(node.tagName);

// walk lists the elements below a node, and what is wrong with them.
function walk(node, found, ignored = false, depth = 0) {
  for (const child of node.children ?? []) {
    if (child.type === 'comment') found.comments++;
    if (child.type === 'text' && !ignored && autolinked.test(child.value)) found.wrong.push(`GitHub would make something of ${JSON.stringify(child.value)}`);
    if (child.type !== 'element') continue;
    if (structural(child)) found.elements.push(' '.repeat(depth) + child.tagName);
    for (const [name, value] of Object.entries(child.properties)) {
      if (child.tagName === 'a' && name === 'href') {
        if (!String(value).startsWith(home)) found.wrong.push(`a link leads to ${JSON.stringify(value)}`);
      } else if (!(child.tagName === 'code' && name === 'className') && !(['td', 'th'].includes(child.tagName) && name === 'align') && !(child.tagName === 'pre' && name === 'lang')) {
        found.wrong.push(`an element ${child.tagName} has the attribute ${name}`);
      }
    }
    walk(child, found, ignored || apart.includes(child.tagName), depth + 1);
  }
  return found;
}

function problems(renderer, { got, benign }) {
  const look = (markdown) => walk(parse(renderer, markdown), { elements: [], wrong: [], comments: 0 });
  const is = look(got), want = look(benign);
  if (is.comments > 0) is.wrong.push(`${is.comments} comments`);
  if (is.elements.join('\n') !== want.elements.join('\n')) is.wrong.push(`the elements are\n${is.elements.join('\n')}\nand not\n${want.elements.join('\n')}`);
  return is.wrong;
}

const certainly = ['<b>x</b>', '**x**', '[x](https://evil.example)', 'https://evil.example', 'www.evil.example', '@ada', '&#64;ada', '\\@ada', 'fixes \\#1', 'GH-1', '4f1c2ab', ':tada:',
  '![x](https://github.com/acme/checkout/x.png)', '# x', '<details>', 'x\n\n|a|\n|---|', '```\nx\n```', '[^1]\n\n[^1]: x', `<a href="${home}" onclick="x">x</a>`, '<!-- x -->'];
const pairs = JSON.parse(readFileSync(process.argv[2], 'utf8'));
let count = 0;
for (const renderer of Object.keys(renderers)) {
  for (const got of certainly) {
    if (problems(renderer, { got, benign: 'x' }).length === 0) {
      console.error(`${renderer}: nothing is found wrong with ${JSON.stringify(got)}`);
      process.exit(1);
    }
  }
  for (const pair of pairs) {
    for (const wrong of problems(renderer, pair)) {
      count++;
      if (count <= 10) console.error(`${renderer}: ${JSON.stringify(pair.name)}: ${wrong}\nin\n${pair.got}`);
    }
  }
  console.log(`${renderer}: ${pairs.length} comments`);
}
if (pairs.length === 0) {
  console.error('no comment is given');
  process.exit(1);
}
process.exit(count > 0 ? 1 : 0);
