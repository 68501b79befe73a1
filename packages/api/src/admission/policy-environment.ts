// What the expressions of an admission policy can name, for checking them on write and for running them.
// Called by resources/admission-policies.ts and admission/policy-program.ts. Ref: apiserver/pkg/admission/plugin/cel/compile.go

import { type CelProgram, type CelVariable, compileCel } from '@podless/apimachinery'
import { AUTHORIZER_VARIABLES } from './access-check.ts'

export interface PolicyVariable {
  readonly name: string
  readonly expression: string
}

export interface PolicyEnvironment {
  /** For expressions that decide; they may also ask what the user is allowed to do. */
  readonly deciding: Readonly<Record<string, CelVariable>>
  /** For texts: messages and audit annotations. */
  readonly telling: Readonly<Record<string, CelVariable>>
  /** The programs behind `variables`; one that does not compile is undefined. */
  readonly programs: ReadonlyMap<string, CelProgram | undefined>
}

/** `params` exists only where the policy has a paramKind. Each variable sees those before it. */
export function policyEnvironment(
  variables: readonly PolicyVariable[],
  options: { readonly hasParams: boolean },
): PolicyEnvironment {
  const programs = new Map<string, CelProgram | undefined>()
  const base: Readonly<Record<string, CelVariable>> = {
    object: 'dyn',
    oldObject: 'dyn',
    request: 'dyn',
    namespaceObject: 'dyn',
    ...(options.hasParams ? { params: 'dyn' } : {}),
  }
  const telling = (): Record<string, CelVariable> => ({ ...base, variables: { fields: programs } })
  const deciding = (): Record<string, CelVariable> => ({
    ...telling(),
    ...AUTHORIZER_VARIABLES,
  })
  for (const { name, expression } of variables) {
    const compiled = compileCel(expression, { variables: deciding(), result: 'any' })
    programs.set(name, compiled.ok ? compiled.program : undefined)
  }
  return { deciding: deciding(), telling: telling(), programs }
}
