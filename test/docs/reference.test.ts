import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { HEADER_FIELDS, REFERENCE_PAGES } from './reference-pages.ts'
import { ROOT } from './root.ts'

describe('docs/reference', () => {
  it.each(Object.entries(REFERENCE_PAGES))('%s is what the tables say', (path, text) => {
    const file = join(ROOT, path)
    if (process.env['UPDATE_DOCS'] === '1') {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
    expect(readFileSync(file, 'utf8'), 'npm run docs:update rewrites it').toBe(text)
  })

  it('describes every field of the header, and no other', () => {
    const source = readFileSync(join(ROOT, 'src/event/record.ts'), 'utf8')
    const bodies = [...source.matchAll(/interface (?:RecordHeader|LogRecord)[^{]*\{([^}]*)\}/g)]
    const fields = bodies.flatMap(([, body]) => [...(body as string).matchAll(/readonly (\w+)(\??):/g)])
    const declared = fields.map(([, name, optional]) => `${name}${optional}`).sort()
    const described = HEADER_FIELDS.map(([name, type]) => `${name}${type.endsWith('?') ? '?' : ''}`).sort()
    expect(described).toEqual(declared)
  })
})
