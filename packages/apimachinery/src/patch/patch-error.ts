// Why a patch cannot be applied to a document, before anyone decides which Status that becomes.
// Thrown by the three patch mechanisms; the verbs see it directly or as the `cause` of a
// StatusError.

export type PatchErrorCode =
  | 'testFailed'
  | 'missing'
  | 'invalidIndex'
  | 'copyTooLarge'
  | 'unknownOperation'
  | 'invalidValue'
  | 'missingMergeKey'
  | 'unknownDirective'
  | 'wrongType'
  | 'badFormat'
  | 'listOfLists'

/** One reason a patch does not apply. The message is upstream's text of the inner error. */
export class PatchError extends Error {
  override readonly name = 'PatchError'
  readonly code: PatchErrorCode

  constructor(code: PatchErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
