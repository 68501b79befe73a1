// Runs a TypeScript entry with a Node.js that can, after installing dependencies when they are missing or stale.
// Called by ./podless and the npm scripts; has to run on any Node.js from 20 on, so it is plain JavaScript.
// Usage: node scripts/launch.mjs ENTRY [ARGUMENT...]

import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
/** Newer than the lockfile when everything is installed; holds the path of the Node.js to run. ./podless reads it too. */
const stamp = join(modules, '.podless-installed')
const cache = join(root, '.cache')
const lock = join(cache, 'install.lock')
const CLI = 'packages/cli/src/main.ts'
const BUNDLE = 'packages/cli/dist/main.js'
const EX_UNAVAILABLE = 69
/** The first release that runs TypeScript without a flag. */
const NODE_MIN = [22, 18]
const POLL_MS = 200
/** A slow network needs some minutes; longer than this and the other process hangs. */
const WAIT_MAX_MS = 600_000

/** A failure that one line explains. */
class LaunchError extends Error {}

function isInstalled() {
  if (!existsSync(stamp)) return false
  return statSync(stamp).mtimeMs > statSync(join(root, 'pnpm-lock.yaml')).mtimeMs
}

function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  process.stderr.write('podless: installing what it needs (first run only) ...\n')
  const pnpm = ['pnpm', 'install', '--frozen-lockfile']
  const run = spawnSync('npm', ['exec', '--yes', `--package=${packageManager}`, '--', ...pnpm], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    env: { ...process.env, CI: 'true', npm_config_update_notifier: 'false' },
  })
  if (run.error !== undefined)
    throw new LaunchError(
      `npm cannot be started (${run.error.code}); install it, it comes with https://nodejs.org`,
    )
  if (run.status !== 0) {
    process.stderr.write(`${run.stdout}${run.stderr}`)
    throw new LaunchError(
      'the install failed (see above); check that npm reaches its registry, then run this again',
    )
  }
}

/** The pinned Node.js that came with the install, or the one that runs this when it is new enough. */
function findNode() {
  const pinned = readdirSync(modules)
    .filter(name => /^node-(linux|darwin|win)-/.test(name))
    .map(name => join('node_modules', name, 'bin', 'node'))
    .find(path => spawnSync(join(root, path), ['--version']).status === 0)
  if (pinned !== undefined) return pinned
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]))
    return process.execPath
  throw new LaunchError(
    `no Node.js comes with podless for ${process.platform}-${process.arch}; install ${NODE_MIN.join('.')} or later from https://nodejs.org`,
  )
}

/** Makes the bundle that ./podless prefers to the sources. Without one it runs the sources: slower, never wrong. */
function bundle(node) {
  const script = join(root, 'scripts', 'bundle.ts')
  if (!existsSync(script)) return
  const program = node.startsWith('node_modules') ? join(root, node) : node
  const run = spawnSync(program, ['--disable-warning=ExperimentalWarning', script], {
    cwd: root,
    encoding: 'utf8',
  })
  if (run.status !== 0)
    process.stderr.write(`podless: no bundle, running from source: ${run.stderr}\n`)
}

/** Installs once, also when several first runs start together: the others wait for the one that holds the lock. */
async function ensureInstalled() {
  mkdirSync(cache, { recursive: true })
  const own = `${lock}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    await takeLock(own)
    try {
      if (isInstalled()) return
      install()
      const node = findNode()
      bundle(node)
      writeFileSync(stamp, `${node}\n`)
    } finally {
      rmSync(lock, { force: true })
    }
  } finally {
    rmSync(own, { force: true })
  }
}

/** A link appears with its content or not at all, so a reader never sees a lock without an owner. */
async function takeLock(own) {
  for (let waited = 0; waited < WAIT_MAX_MS; waited += POLL_MS) {
    try {
      linkSync(own, lock)
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    breakDeadLock()
    await sleep(POLL_MS)
  }
  throw new LaunchError(
    `process ${ownerOf(lock)} has been installing for ten minutes; end it, or remove ${lock} if it is not podless`,
  )
}

function ownerOf(path) {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Removes the lock of a process that died. The folder named for it lets one process at a time do so. */
function breakDeadLock() {
  const owner = ownerOf(lock)
  if (owner === undefined || isAlive(owner)) return
  const breaking = `${lock}.${owner}.breaking`
  try {
    mkdirSync(breaking)
  } catch (error) {
    if (error.code === 'EEXIST') return
    throw error
  }
  if (ownerOf(lock) === owner) rmSync(lock, { force: true })
  rmSync(`${lock}.${owner}`, { force: true })
  rmdirSync(breaking)
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function run(node, entry, args) {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, entry), ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(modules, '.cache', 'podless'),
    },
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 1
    if (signal === null) return
    for (const name of signals) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

/** The path in the stamp, unless that program was removed since. */
function recordedNode() {
  const node = readFileSync(stamp, 'utf8').trim()
  const path = node.startsWith('node_modules') ? join(root, node) : node
  return path !== '' && existsSync(path) ? path : undefined
}

/** Right after an install the bundle is as new as the sources; later ./podless compares the two. */
function entryOf(argument, isFresh) {
  return isFresh && argument === CLI && existsSync(join(root, BUNDLE)) ? BUNDLE : argument
}

async function main() {
  const isFresh = !isInstalled()
  if (isFresh) await ensureInstalled()
  let node = recordedNode()
  if (node === undefined) {
    const found = findNode()
    writeFileSync(stamp, `${found}\n`)
    node = found.startsWith('node_modules') ? join(root, found) : found
  }
  const [entry = CLI, ...args] = process.argv.slice(2)
  run(node, entryOf(entry, isFresh), args)
}

try {
  await main()
} catch (error) {
  const why =
    error instanceof LaunchError
      ? error.message
      : error.code === 'EACCES' || error.code === 'EROFS'
        ? `${error.path} cannot be written; run this as a user who may write to the checkout`
        : error.stack
  process.stderr.write(`podless: ${why}\n`)
  process.exitCode = EX_UNAVAILABLE
}
