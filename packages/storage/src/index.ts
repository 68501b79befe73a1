// The package's public face.
export type * from './backend.ts'
export * from './errors.ts'
export type * from './stored-object.ts'
