'use strict';
// The node part of every action of the suite: it finds the program for this machine beside itself and hands it everything.
// dist/NAME.js calls main, dist/NAME-post.js calls post. They are two files, rather than one that looks at GITHUB_STATE,
// so that cleaning up can never turn into a second delivery when that state was not written.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// UNDETERMINED is idp's exit code for what says neither yes nor no; see docs/actions.md.
const UNDETERMINED = 3;

// PREFIX begins the name of each program: idp-OS-ARCH, in Go's words.
const PREFIX = 'idp-';
const SYSTEMS = { win32: 'windows' };
const MACHINES = { x64: 'amd64', ia32: '386' };

// platform names this machine as Go does.
function platform() {
  return (SYSTEMS[process.platform] || process.platform) + '-' + (MACHINES[process.arch] || process.arch);
}

// program is the path of the program for this machine; undefined where this release has none.
function program() {
  const file = path.join(__dirname, PREFIX + platform() + (process.platform === 'win32' ? '.exe' : ''));
  return fs.existsSync(file) ? file : undefined;
}

// published lists the platforms that are in this release.
function published() {
  return fs.readdirSync(__dirname).filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length).replace(/\.exe$/, '')).sort();
}

// fail ends the step with a sentence that the run's page shows.
function fail(sentence) {
  const escaped = sentence.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  process.stdout.write(`::error title=idp::${escaped}\n`);
  process.exitCode = UNDETERMINED;
}

// runnable gives back the executable bit where an archive or a copy on the way lost it.
function runnable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
  } catch {
    fs.chmodSync(file, 0o755);
  }
}

// run runs the program with this process's environment and streams, and ends as it ended. The program reads the end of a
// pipe, so that it does not go on alone when this process is killed. Windows has no way to hand over one.
function run(file, args) {
  const stdio = ['inherit', 'inherit', 'inherit'];
  const env = { ...process.env };
  if (process.platform !== 'win32') {
    env.IDP_LIFELINE = String(stdio.push('pipe') - 1);
  }
  let child;
  // Before the program is started: a signal in between would end this process alone. Windows sends Ctrl+C to the program
  // itself, and kill would end it without a chance to clean up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.platform === 'win32' || child?.kill(signal));
  }
  try {
    runnable(file);
    child = spawn(file, args, { stdio, env });
  } catch (err) {
    fail(`${file} cannot be run: ${err.message}`);
    return;
  }
  child.on('error', (err) => fail(`${file} cannot be run: ${err.message}`));
  child.stdio[3]?.on('error', () => {}); // it carries nothing
  child.on('exit', (code, signal) => {
    child.stdio[3]?.destroy();
    process.exitCode = signal ? 128 + os.constants.signals[signal] : code;
  });
}

// main runs the action.
function main(name) {
  const file = program();
  if (file) {
    run(file, [name]);
    return;
  }
  const known = published();
  fail(`This release of idp has no program for ${platform()}, only for ${known.join(', ') || 'no platform at all'}. ` +
    'Run the job on one of these, such as runs-on: ubuntu-latest, or publish a release with the platform in it: make release-tree PLATFORMS=all');
}

// post puts in order what the action left. Without a program there was no action, and main has said so.
function post(name) {
  const file = program();
  if (file) {
    run(file, ['post', name]);
  }
}

module.exports = { main, post };
