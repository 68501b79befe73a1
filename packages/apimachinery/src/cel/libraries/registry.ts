// The functions Kubernetes lets expressions call. Called by compile.ts and tests.
// Ref: apiserver/pkg/cel/environment/base.go

import { FunctionSet, type Library } from '../function.ts'
import { CONVERSIONS } from './conversions.ts'
import { OPTIONALS } from './optional.ts'
import { STANDARD } from './standard.ts'

export const KUBERNETES_LIBRARIES: readonly Library[] = [STANDARD, CONVERSIONS, OPTIONALS]

export const KUBERNETES_FUNCTIONS = new FunctionSet(KUBERNETES_LIBRARIES)
