// Conflicts of an apply and the 409 that names them. Called by apply.ts; calls status.ts. Ref:
// apimachinery/pkg/util/managedfields/internal/conflict.go

import { failure, type StatusError } from '../status.ts'
import { type FieldSet, printPath } from './field-set.ts'
import type { Manager, Managers } from './managers.ts'
import { compareText, type PathElement } from './path-element.ts'

/** One field that another manager owns with another value. */
export interface ApplyConflict {
  readonly manager: Manager
  readonly path: readonly PathElement[]
}

/**
 * An apply that would change fields of others, and may not. The caller makes it a Status by
 * `conflictStatus`.
 */
export class ApplyConflictError extends Error {
  override readonly name = 'ApplyConflictError'
  readonly conflicts: readonly ApplyConflict[]

  constructor(conflicts: readonly ApplyConflict[]) {
    super(conflictMessage(conflicts))
    this.conflicts = conflicts
  }
}

/** The conflicts of each manager, managers in the order of their identity. */
export function listConflicts(
  managers: Managers,
  conflicts: ReadonlyMap<string, FieldSet>,
): ApplyConflict[] {
  return [...conflicts]
    .sort(([a], [b]) => compareText(a, b))
    .flatMap(([id, set]) => {
      const manager = managers.get(id)
      return manager === undefined ? [] : set.paths().map(path => ({ manager, path }))
    })
}

/** 409 with a cause per field and manager. */
export function conflictStatus(error: ApplyConflictError): StatusError {
  const causes = error.conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${printManager(manager)}`,
    field: printPath(path),
  }))
  const { message } = error
  return failure({ code: 409, reason: 'Conflict', message, details: { causes }, cause: error })
}

function conflictMessage(conflicts: readonly ApplyConflict[]): string {
  const [first] = conflicts
  if (conflicts.length === 1 && first !== undefined) {
    const where = `${printManager(first.manager)}: ${printPath(first.path)}`
    return `Apply failed with 1 conflict: conflict with ${where}`
  }
  const lines: string[] = []
  let previous: Manager | undefined
  for (const { manager, path } of conflicts) {
    if (manager !== previous) lines.push(`conflicts with ${printManager(manager)}:`)
    lines.push(`- ${printPath(path)}`)
    previous = manager
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`
}

/** `"mgr"`, `"mgr" using v1`, `"mgr" with subresource "status" using v1`. */
function printManager({ manager, operation, apiVersion, subresource }: Manager): string {
  const within = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`
  const using = operation === 'Update' ? ` using ${apiVersion}` : ''
  return `${JSON.stringify(manager)}${within}${using}`
}
