// The functions Kubernetes lets expressions call. Called by compile.ts and tests.
// Ref: apiserver/pkg/cel/environment/base.go

import { FunctionSet, type Library } from '../function.ts'
import { AUTHORIZATION } from './authorizer.ts'
import { CONVERSIONS } from './conversions.ts'
import { JSON_PATCHES } from './json-patch.ts'
import { KUBERNETES_LISTS, LISTS, MAP_INSERTION, SETS } from './lists.ts'
import { NAMED_FORMATS } from './named-format.ts'
import { NETWORK } from './network.ts'
import { OPTIONALS } from './optional.ts'
import { QUANTITIES } from './quantity.ts'
import { REGEX_SEARCH } from './regex-search.ts'
import { SEMVERS } from './semver.ts'
import { STANDARD } from './standard.ts'
import { STRINGS } from './strings.ts'
import { URLS } from './url.ts'

const LANGUAGE: readonly Library[] = [STANDARD, CONVERSIONS, OPTIONALS, MAP_INSERTION]
const EXTENSIONS: readonly Library[] = [STRINGS, LISTS, SETS]
const KUBERNETES: readonly Library[] = [
  ...[
    KUBERNETES_LISTS,
    NAMED_FORMATS,
    NETWORK,
    QUANTITIES,
    REGEX_SEARCH,
    SEMVERS,
    URLS,
    AUTHORIZATION,
  ],
]

export const KUBERNETES_LIBRARIES: readonly Library[] = [
  ...[...LANGUAGE, ...EXTENSIONS, ...KUBERNETES],
]

/** Functions are read from these tables when an expression first names them. */
export const KUBERNETES_FUNCTIONS = new FunctionSet(KUBERNETES_LIBRARIES)

/** What expressions that make patches may call. */
export const PATCH_FUNCTIONS = new FunctionSet([...KUBERNETES_LIBRARIES, JSON_PATCHES])
