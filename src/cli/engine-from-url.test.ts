import { expect, it } from 'vitest'
import { engineFromUrl, parseEngineUrl } from './engine-from-url.ts'

it('reads memory, a path, and a path with its scheme', () => {
  expect(parseEngineUrl('memory')).toEqual({ kind: 'memory' })
  expect(parseEngineUrl('./spine.db')).toEqual({ kind: 'sqlite', path: './spine.db' })
  expect(parseEngineUrl('sqlite:logs/spine.db')).toEqual({ kind: 'sqlite', path: 'logs/spine.db' })
  expect(parseEngineUrl('C:\\logs\\spine.db')).toEqual({ kind: 'sqlite', path: 'C:\\logs\\spine.db' })
})

it.each(['postgres://host/db', 'sqlite:', ''])("refuses '%s' with what it could be", (url) => {
  expect(() => parseEngineUrl(url)).toThrow("Use 'memory', a file path, or 'sqlite:PATH'.")
})

it('loads the engine that is named', async () => {
  expect((await engineFromUrl('memory')).name).toBe('memory')
  expect((await engineFromUrl('sqlite:never-opened.db')).name).toContain('never-opened.db')
})
