// Markdown as GitHub makes a page of it: by the renderer that is tested against GitHub's own answers, and by cmark-gfm, the
// parser that GitHub wrote; then GitHub's sanitizer.
import { spawnSync } from 'node:child_process';
import { fromHtml } from 'hast-util-from-html';
import { defaultSchema, sanitize } from 'hast-util-sanitize';
import { toHtml } from 'hast-util-to-html';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';

export const renderers = {
  micromark: (markdown) => micromark(markdown, { allowDangerousHtml: true, allowDangerousProtocol: true, extensions: [gfm()], htmlExtensions: [gfmHtml()] }),
  'cmark-gfm': (markdown) => {
    const extensions = ['table', 'autolink', 'strikethrough', 'tasklist'].flatMap((e) => ['-e', e]);
    const done = spawnSync('cmark-gfm', ['--unsafe', '-t', 'html', ...extensions], { input: markdown, encoding: 'utf8' });
    if (done.error || done.status !== 0) throw new Error(`cmark-gfm: ${done.error ?? done.stderr}`);
    return done.stdout;
  },
};

// parse gives the page before the sanitizer, so that what the sanitizer would take away is seen, too.
export const parse = (renderer, markdown) => fromHtml(renderers[renderer](markdown), { fragment: true });

export const page = (markdown) => toHtml(sanitize(parse('micromark', markdown), defaultSchema));
