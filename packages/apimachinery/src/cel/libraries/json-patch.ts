// What expressions that make JSON patches need besides. Called by registry.ts.
// Ref: apiserver/pkg/cel/library/jsonpatch.go

import type { Library } from '../function.ts'

const ESCAPES: Readonly<Record<string, string>> = { '~': '~0', '/': '~1' }

export const JSON_PATCHES: Library = {
  'jsonpatch.escapeKey': {
    string_jsonpatch_escapeKey_string: [
      '(string) -> string',
      (key: string) => key.replace(/[~/]/g, char => ESCAPES[char] ?? char),
    ],
  },
}
