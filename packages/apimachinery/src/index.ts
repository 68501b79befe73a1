// The package's public face: everything other packages may use. Grouped by file; helpers stay private.
export * from './assert.ts'
export * from './field-error.ts'
export * from './gvk.ts'
export * from './json.ts'
export * from './meta.ts'
export type * from './schema/node.ts'
export * from './status.ts'
