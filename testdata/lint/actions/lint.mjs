// Reads actions and workflows with GitHub's own parser, and fails on anything that it says: node lint.mjs MODULES FILE…
// It also fails where the parser would have let a file pass that is certainly wrong, because then it was not the parser.
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, ...files] = process.argv.slice(2);

// The parser imports its schemas without `with {type: 'json'}`, which bundlers take and node does not.
register('data:text/javascript,' + encodeURIComponent(`
  import { readFile } from 'node:fs/promises';
  export async function load(url, context, next) {
    if (!url.endsWith('.json')) return next(url, context);
    return { format: 'module', source: 'export default ' + await readFile(new URL(url), 'utf8'), shortCircuit: true };
  }`));
const dist = (file) => import(pathToFileURL(join(modules, '@actions/workflow-parser/dist', file)));
const { parseWorkflow, convertWorkflowTemplate } = await dist('index.js');
const { parseAction, convertActionTemplate } = await dist('actions/index.js');
const trace = { error() {}, info() {}, verbose() {} };

// errors are what the parser finds in one file.
async function errors(name, content) {
  const file = { name, content };
  if (basename(name) === 'action.yml') {
    const parsed = parseAction(file, trace);
    const found = parsed.context.errors.getErrors();
    if (found.length === 0) {
      convertActionTemplate(parsed.context, parsed.value);
    }
    return parsed.context.errors.getErrors();
  }
  const parsed = parseWorkflow(file, trace);
  const template = await convertWorkflowTemplate(parsed.context, parsed.value);
  return [...parsed.context.errors.getErrors(), ...(template.errors ?? []).map((e) => ({ message: e.Message }))];
}

const wrong = {
  'action.yml': "name: x\ndescription: x\nruns:\n  using: node24\n  mian: x.js\n",
  'key.yml': 'on: push\njobs:\n  a:\n    runs-onn: x\n    steps: [{run: x}]\n',
  'needs.yml': 'on: push\njobs:\n  a:\n    needs: b\n    runs-on: x\n    steps: [{run: x}]\n',
  'expression.yml': 'on: push\njobs:\n  a:\n    runs-on: x\n    if: ${{ nedes.b }}\n    steps: [{run: x}]\n',
};
for (const [name, content] of Object.entries(wrong)) {
  if ((await errors(name, content)).length === 0) {
    console.error(`the parser finds nothing wrong with ${name}:\n${content}`);
    process.exit(1);
  }
}
if (files.length === 0) {
  console.error('no file is given');
  process.exit(1);
}

let count = 0;
for (const name of files) {
  for (const error of await errors(name, readFileSync(name, 'utf8'))) {
    console.error(`${name}: ${error.message}`);
    count++;
  }
}
console.log(`GitHub's parser: ${files.length} files, ${count} problems`);
process.exit(count > 0 ? 1 : 0);
