// The command line of `podless rbac`. The work is in ../rbac, loaded when a command runs.

import type { Command } from 'commander'
import { dataOption, kubeconfigOption, outputOption } from '../options.ts'
import type { LearnOptions } from '../rbac/learn.ts'
import type { WhyOptions } from '../rbac/why.ts'

export function addRbac(root: Command): void {
  const rbac = root.command('rbac').description('who may do what, and why')
  rbac
    .command('why')
    .description('say which binding and rule decide; exit code 0 when allowed, 1 when denied')
    .argument('<user>', 'such as jane or system:serviceaccount:NAMESPACE:NAME')
    .argument('<verb>', 'get, list, watch, create, update, patch, delete, deletecollection, ...')
    .argument('<resource>', 'RESOURCE[.GROUP][/SUBRESOURCE], or a path such as /metrics')
    .addOption(dataOption())
    .addOption(kubeconfigOption())
    .option('-n, --namespace <name>', 'namespace; without it, cluster-wide')
    .option('--group <name...>', 'groups of the user, repeatable')
    .option('--name <name>', 'one object')
    .addOption(outputOption())
    .action(async (user: string, verb: string, resource: string, options: WhyOptions) => {
      const { why } = await import('../rbac/why.ts')
      await why([user, verb, resource], options)
    })
  rbac
    .command('learn')
    .description('print the least roles for what a user was seen to do')
    .requiredOption('--audit-log <file...>', 'what podless up --audit-log wrote, repeatable')
    .requiredOption('--user <name>', 'whose requests')
    .option('--role-name <name>', 'name of the roles')
    .option('--denied', 'include what was refused')
    .addOption(outputOption())
    .action(async (options: LearnOptions) => {
      const { learn } = await import('../rbac/learn.ts')
      await learn(options)
    })
}
