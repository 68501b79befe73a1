// Runs a TypeScript entry with the pinned Node.js, after installing dependencies when they are missing or stale.
// Called by ./podless and the npm scripts; has to run on any Node.js from 20 on, so it is plain JavaScript.
// Usage: node scripts/launch.mjs ENTRY [ARGUMENT...]

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'node_modules', '.podless-installed')
const EX_UNAVAILABLE = 69
/** The first release that runs TypeScript without a flag. */
const NODE_MIN = [22, 18]

function fail(message) {
  process.stderr.write(`podless: ${message}\n`)
  process.exit(EX_UNAVAILABLE)
}

function isInstalled() {
  const lock = join(root, 'pnpm-lock.yaml')
  return existsSync(stamp) && statSync(stamp).mtimeMs > statSync(lock).mtimeMs
}

function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  process.stderr.write('podless: installing dependencies (first run only) ...\n')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const run = spawnSync(npm, ['exec', '--yes', `--package=${packageManager}`, '--', 'pnpm', 'install', '--frozen-lockfile'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true', npm_config_update_notifier: 'false' },
  })
  if (run.error) fail(`npm could not be started (${run.error.message}); it comes with Node.js: https://nodejs.org`)
  if (run.status !== 0) {
    process.stderr.write(run.stdout + run.stderr)
    fail('the dependencies could not be installed; check the network access to your npm registry and run the command again')
  }
  writeFileSync(stamp, '')
}

function pinnedNode() {
  const modules = join(root, 'node_modules')
  for (const name of readdirSync(modules).filter(entry => entry.startsWith('node-linux-'))) {
    const path = join(modules, name, 'bin', 'node')
    if (spawnSync(path, ['--version']).status === 0) return path
  }
  return undefined
}

function ownNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return process.execPath
  return fail(`there is no prebuilt Node.js for this platform (${process.platform}-${process.arch}); install Node.js ${NODE_MIN.join('.')} or later`)
}

if (!isInstalled()) install()
const node = pinnedNode() ?? ownNode()
const [entry = 'packages/cli/src/main.ts', ...args] = process.argv.slice(2)
const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, entry), ...args], {
  stdio: 'inherit',
  env: { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'podless') },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => {
  if (signal) process.kill(process.pid, signal)
  else process.exit(code ?? 1)
})
