import http from 'node:http';
import { exec } from 'node:child_process';

export function run(name) {
  exec('ls ' + name);
  const unused = 1;
  return eval(name);
}

// eslint-disable-next-line no-eval -- the expression is ours
export const two = eval('1 + 1');

http.createServer((req, res) => {
  const pattern = new RegExp(req.url);
  res.end(String(pattern.test('x')));
}).listen(8080);
