// What drawings of figures share. Called by chart.ts and flame-graph.ts.

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** Text as the content of an SVG element. */
export const escapeXml = (text: string): string =>
  text.replaceAll(/[&<>]/g, character => ENTITIES[character] ?? character)
