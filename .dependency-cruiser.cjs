// The dependency direction of ARCHITECTURE.md as rules. Run by scripts/module-graph.ts, which also proves that every
// file was looked at. Which file may import which library stands in scripts/source-rules.ts.

const TESTS = '\\.test\\.ts$|^packages/storage/src/testing/'

/** No file of `from` may import a file of `to`. Paths are regular expressions. */
const never = (name, from, to, comment) => ({
  name,
  severity: 'error',
  comment,
  from: typeof from === 'string' ? { path: from } : from,
  to: { path: to },
})

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'move what both need into a file that imports neither',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolved',
      severity: 'error',
      comment: 'the file or package does not exist',
      from: {},
      to: { couldNotResolve: true },
    },
    never(
      'apimachinery-imports-no-package-of-ours',
      '^packages/apimachinery/',
      '^packages/(?!apimachinery/)',
      'it is the grammar that everyone else speaks',
    ),
    never(
      'identity-imports-no-package-of-ours',
      '^packages/identity/',
      '^packages/(?!identity/)',
      'cli mints with it and api verifies with it',
    ),
    never(
      'storage-imports-apimachinery-only',
      '^packages/storage/',
      '^packages/(api|cli|identity)/',
      'it knows keys and revisions, not HTTP or resource rules',
    ),
    never(
      'api-does-not-import-cli',
      '^packages/api/',
      '^packages/cli/',
      'cli is the composition root',
    ),
    {
      name: 'packages-meet-at-their-index',
      severity: 'error',
      comment: 'import the package by its name',
      from: { path: '^packages/([^/]+)/' },
      to: {
        path: '^packages/[^/]+/src/',
        pathNot: '^packages/$1/|^packages/[^/]+/src/(testing/)?index\\.ts$',
      },
    },
    never(
      'nothing-imports-tests',
      { path: '^packages/', pathNot: TESTS },
      `^test/|${TESTS}`,
      'what both need belongs beside the code or in a testing folder',
    ),
    never(
      'resources-import-no-verbs',
      '^packages/api/src/resources/',
      '^packages/api/src/(verbs|controllers|server|handler-chain)',
      'a resource is data that verbs read',
    ),
    never(
      'controllers-import-no-http',
      '^packages/api/src/controllers/',
      '^packages/api/src/(verbs/|server|handler-chain|exchange)',
      'a loop works on storage and the registry',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    includeOnly: '^(packages|scripts|test|node_modules)/',
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
