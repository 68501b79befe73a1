// The twin in the environment that every flag has. Options that several commands share name theirs (options.ts); every other
// flag's is made of its command and its name, so that no two mean different things by one. Called by main.ts.

import type { EventEmitter } from 'node:events'
import type { Command, Option } from 'commander'
import { CliError, EXIT } from './exit.ts'

const ON: ReadonlySet<string> = new Set(['1', 'true'])
const OFF: ReadonlySet<string> = new Set(['', '0', 'false'])

/** Gives the flags of all commands below `root` their twins, and reads those of the command that runs. */
export function addTwins(root: Command, environment: NodeJS.ProcessEnv): void {
  const add = (command: Command, path: readonly string[]): void => {
    for (const option of [...command.options]) {
      const name = option.envVar ?? twinOf(path, option)
      // What is switched off is as if it were not there; commander asks only whether it is.
      if (isSwitch(option) && OFF.has(environment[name] ?? 'unset')) continue
      takeAnew(command, option.env(name))
    }
    for (const below of command.commands) add(below, [...path, below.name()])
  }
  for (const command of root.commands) add(command, [command.name()])
  root.hook('preAction', (_root, command) => readTwins(command, environment))
}

/** Commander listens to the environment only for an option that had its twin when it was added. */
function takeAnew(command: Command, option: Option): void {
  const options = command.options as Option[]
  const at = options.indexOf(option)
  options.splice(at, 1)
  // NOTE: Commander's types leave out that it is one.
  const emitter = command as Command & EventEmitter
  for (const event of ['option', 'optionEnv'])
    emitter.removeAllListeners(`${event}:${option.name()}`)
  command.addOption(option)
  options.splice(at, 0, ...options.splice(-1))
}

const isSwitch = ({ optional, required }: Option): boolean => !optional && !required

const twinOf = (path: readonly string[], option: Option): string =>
  ['podless', ...path, option.name()].join('_').replaceAll('-', '_').toUpperCase()

/** Lists are comma-separated there, and a switch is on or off. Throws a usage error for another word. */
function readTwins(command: Command, environment: NodeJS.ProcessEnv): void {
  for (const option of command.options) {
    const { envVar, variadic } = option
    const key = option.attributeName()
    if (envVar === undefined || command.getOptionValueSource(key) !== 'env') continue
    const text = environment[envVar] ?? ''
    if (variadic) {
      const items = text.split(',').filter(item => item !== '')
      command.setOptionValueWithSource(key, items.length === 0 ? undefined : items, 'env')
    } else if (isSwitch(option) && !ON.has(text)) {
      throw new CliError(EXIT.usage, `${envVar} is ${JSON.stringify(text)}: write true or false`)
    }
  }
}
