// The command line of `podless help`, which knows commands below commands too. Registered by main.ts.

import type { Command } from 'commander'
import { CliError, EXIT } from '../exit.ts'

export function addHelp(root: Command): void {
  root
    .helpCommand(false)
    .command('help')
    .description('display help for a command')
    .argument('[command...]', 'such as vm add')
    .action((words: readonly string[]) => commandAt(root, words).help())
}

/** Throws a usage error when there is none, which says what there is. */
function commandAt(root: Command, words: readonly string[]): Command {
  let at = root
  for (const [i, word] of words.entries()) {
    const next = at.commands.find(command => command.name() === word)
    if (next === undefined) {
      const path = ['podless help', ...words.slice(0, i)].join(' ')
      throw new CliError(
        EXIT.usage,
        `there is no command ${JSON.stringify(words.join(' '))}; ${path} shows what there is`,
      )
    }
    at = next
  }
  return at
}
